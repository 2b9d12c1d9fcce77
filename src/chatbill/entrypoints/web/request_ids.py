"""Request ids: one name for a request in its response, its problems and every line of the log."""

from __future__ import annotations

import re
import uuid
from typing import Final

from litestar.types import Scope

HEADER: Final = "X-Request-Id"
STATE_KEY: Final = "chatbill_request_id"
# What a client sends is written to logs, so it may hold nothing that could look like more than a name.
_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def give_request_id(scope: Scope) -> str:
    """Name the request: as the client did, if the name is 1 to 128 letters, digits, dots and dashes; else anew."""
    sent = next((value for name, value in scope["headers"] if name.lower() == HEADER.lower().encode()), b"")
    request_id = sent.decode("ascii") if _SANE.fullmatch(sent) else uuid.uuid4().hex
    scope.setdefault("state", {})[STATE_KEY] = request_id
    return request_id


def request_id_of(scope: Scope) -> str:
    """The name that was given."""
    return str(scope.get("state", {}).get(STATE_KEY, ""))
