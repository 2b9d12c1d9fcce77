"""Every problem code with its HTTP status and title."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TYPE_PREFIX: Final = "urn:chatbill:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """The properties of all problems with one code. `detail` is shown where the error has no detail for clients."""

    status: int
    title: str
    detail: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_request": Kind(422, "The request breaks a rule"),
    "content_filter": Kind(400, "A content filter ended the reply"),
    "context_length_exceeded": Kind(400, "Too long for the model's window"),
    "unauthenticated": Kind(401, "Sign in first"),
    "invalid_credentials": Kind(401, "Name or password is wrong"),
    "second_factor_required": Kind(401, "A code of the second factor is needed"),
    "token_expired": Kind(401, "The token has expired"),
    "insufficient_credits": Kind(402, "Not enough credits"),
    "cap_reached": Kind(402, "The API key has used its month's credits"),
    "spending_limit_reached": Kind(402, "A spending limit of your own is reached"),
    "forbidden": Kind(403, "Not allowed"),
    "password_required": Kind(403, "The password is needed again"),
    "not_found": Kind(404, "Not found", "There is nothing at this address."),
    "model_not_found": Kind(404, "There is no such model"),
    "method_not_allowed": Kind(405, "Method not allowed", "This address does not answer to this method."),
    "request_timeout": Kind(408, "The request did not arrive in time"),
    "conflict": Kind(409, "Conflict"),
    "username_taken": Kind(409, "The username is taken"),
    "email_taken": Kind(409, "The e-mail address has an account"),
    "request_in_progress": Kind(409, "The first request is still running"),
    "request_interrupted": Kind(410, "The first request was interrupted"),
    "too_large": Kind(413, "Too large", "The body of the request is too large."),
    "unsupported_media_type": Kind(415, "Unsupported media type"),
    "idempotency_mismatch": Kind(422, "The idempotency key came with another request"),
    "rate_limited": Kind(429, "Too many requests"),
    "internal_error": Kind(500, "Internal error", "Something went wrong here, not with you. It has been logged."),
    "generation_failed": Kind(502, "The model failed"),
    "mail_not_sent": Kind(502, "The mail server did not take a letter"),
    "not_delivered": Kind(502, "The receiver of an alert was not told"),
    "model_unavailable": Kind(503, "The model is not available"),
    "overloaded": Kind(503, "All places are taken"),
    "interrupted": Kind(503, "The service stopped"),
    "store_unavailable": Kind(503, "The database is not available", "The database does not answer. Try again shortly."),
    "generation_timeout": Kind(504, "The reply took too long"),
}
"""Every code that a client can get."""

HIDDEN_DETAILS: Final = frozenset({"internal_error", "store_unavailable"})
"""Codes whose errors are written for the operator; clients get the detail of the kind instead."""

CODE_OF_STATUS: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem. `members` are JSON members beside the standard ones; `headers` are sent with it."""

    code: str
    detail: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the problem as RFC 9457 writes it in JSON."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }
