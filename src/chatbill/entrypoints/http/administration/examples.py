"""Examples of the answers of administration for the documentation."""

from __future__ import annotations

from typing import Final

from chatbill.entrypoints.http.documentation.examples import ACCOUNT, REQUEST_ID, WHEN

_LINK: Final = (
    "https://chat.example.org/web/reset#019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b.3q2-7wAAAAD_0123456789abcdefghij"
)

USER: Final = ACCOUNT | {"state": "active", "held": 0, "spent": 12, "last_seen_at": WHEN}
USERS: Final = {"items": [USER], "next_cursor": None}
NEW_USER: Final = USER | {"spent": 0, "last_seen_at": None, "setup_url": _LINK}
PASSWORD_LINK: Final = {"reset_url": _LINK, "expires_at": WHEN}
AUDIT: Final = {
    "items": [
        {
            "id": "019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0d",
            "at": WHEN,
            "action": "user.suspended",
            "actor": "01JJZ8HY3S9R6P4N1A8S2B5C7E",
            "actor_name": "grace",
            "subject": ACCOUNT["id"],
            "subject_kind": "user",
            "address": "192.0.2.7",
            "request_id": REQUEST_ID,
            "before": {"state": "active"},
            "after": {"state": "suspended"},
            "reason": "Left the company",
        }
    ],
    "next_cursor": None,
}
CODE: Final = {
    "id": "019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0e",
    "credits": 50,
    "uses": 100,
    "used": 3,
    "created_at": WHEN,
    "created_by": ACCOUNT["id"],
    "expires_at": None,
    "withdrawn_at": None,
}
CODES: Final = {"items": [CODE], "next_cursor": None}
ISSUED_CODE: Final = CODE | {"used": 0, "code": "7H2KQ-0WXN4-PBD8V-J6M1R-TS95E"}
