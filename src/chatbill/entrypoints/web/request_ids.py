"""Request ids, which name a request in its response, its problems and every line of the log."""

from __future__ import annotations

import re
import uuid
from typing import Final

from litestar.types import Scope

HEADER: Final = "X-Request-Id"
STATE_KEY: Final = "chatbill_request_id"
# A client's id is written to logs, so it may hold only the characters of a name.
_VALID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def assign_request_id(scope: Scope) -> str:
    """Return the client's id if it is 1 to 128 letters, digits, dots, dashes and underscores, else a new one."""
    sent = next((value for name, value in scope["headers"] if name.lower() == HEADER.lower().encode()), b"")
    request_id = sent.decode("ascii") if _VALID.fullmatch(sent) else uuid.uuid4().hex
    scope.setdefault("state", {})[STATE_KEY] = request_id
    return request_id


def request_id_of(scope: Scope) -> str:
    """Return the id that was assigned to the request."""
    return str(scope.get("state", {}).get(STATE_KEY, ""))
