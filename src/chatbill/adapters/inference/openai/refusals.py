"""Read what servers say of an error, in any of the shapes that they use, and tell what it means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from chatbill.adapters.inference.openai.errors import ErrorKind
from chatbill.domain.chat.interactions import storable

MAX_MESSAGE_CHARS = 300
"""Characters that are kept of what a server says of an error."""
MISFIT = frozenset({400, 422})
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOO_LONG = re.compile(
    # OpenAI, vLLM, SGLang, llama.cpp, Ollama, LM Studio, Mistral, OpenRouter and others
    r"context.?(length|window|size|limit)|maximum context|exceed_context"
    r"|(prompt|input) (is )?too long|prompt length|maximum (prompt|input|model|sequence) length"
    r"|input tokens exceed|too many (input )?tokens|(length|number) of (the )?(messages|tokens) .{0,40}exceed"
    # TGI and Together; Gemini; Cerebras; Cohere
    r"|`?inputs`? (tokens \+|must have less)|input token count|exceeds the maximum number of tokens"
    r"|current length is \d+ while limit|tokens in the prompt cannot exceed",
    re.IGNORECASE,
)
_SET_UP = frozenset({402, 404})
"""The account there has no credit, or the model's name is wrong."""
_REFUSED = frozenset({401, 403})
"""The key is wrong, or the message is forbidden by the server's rules."""
_BUSY = frozenset({429, 503})
_NO_CREDIT = "insufficient_quota"
"""OpenAI's code in a 429 for which waiting does not help."""
_FILTERS = frozenset({"content_filter", "content_policy_violation", "data_inspection_failed"})
"""Codes of servers that refuse a message for what it says: Azure's, OpenAI's and Alibaba's."""


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A server's error message, shortened. `text` may quote what a user wrote; the `names` of errors do not.

    `fields` are those of the request that the error is about, where the server says so apart from its text. `str`
    returns the part that may be logged.
    """

    text: str
    names: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f"{' '.join(self.names)}, " if self.names else ""
        return f"{names}{len(self.text)} characters"

    def without(self, secret: str) -> ServerMessage:
        """Return the message without the secret, if it quotes that."""
        names, fields = (tuple(name for name in kept if name != secret) for kept in (self.names, self.fields))
        return ServerMessage(self.text.replace(secret, "[key]"), names, fields)


def server_message(body: Any) -> ServerMessage:
    """Return the message in an error body."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return ServerMessage(_short(error))
    if not isinstance(error, dict):
        return ServerMessage("no message")
    inner = _inner(error)
    parts = {name: error.get(name) for name in ("code", "type", "param", "message", "detail")}
    given = {name: str(part) for name, part in parts.items() if isinstance(part, str | int) and part}
    names = tuple(part for name, part in given.items() if name in {"code", "type"} and _NAME.fullmatch(part))
    faults = list(_faults(error.get("detail")))
    fields = tuple(field for field in (given.get("param", ""), *(fault[0] for fault in faults)) if field)
    words = [*given.values(), *(" ".join(fault) for fault in faults), inner.text]
    return ServerMessage(_short(" ".join(filter(None, words))), names + inner.names, fields + inner.fields)


def is_too_long(message: ServerMessage) -> bool:
    """Return True if the server found the prompt too long for its window."""
    return _TOO_LONG.search(message.text) is not None


def kind_of(status: int, message: ServerMessage) -> ErrorKind:
    """Return what a response with this status means."""
    if status in _BUSY:
        return ErrorKind.SET_UP if _NO_CREDIT in message.text else ErrorKind.BUSY
    if status in _SET_UP:
        return ErrorKind.SET_UP
    if status in _REFUSED:
        return ErrorKind.REFUSED
    if status in MISFIT and _FILTERS & set(message.names):
        return ErrorKind.FILTERED
    too_long = status in MISFIT | {HTTPStatus.INTERNAL_SERVER_ERROR} and is_too_long(message)
    if too_long or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ErrorKind.TOO_LONG
    return ErrorKind.MISFIT if status in range(400, 500) else ErrorKind.BROKEN


def _faults(detail: Any) -> Iterator[tuple[str, str]]:
    """Yield field and message of each fault that FastAPI, and servers made with it, list in `detail`."""
    for fault in detail if isinstance(detail, list) else []:
        if isinstance(fault, dict):
            place = fault.get("loc")
            yield str(place[-1]) if isinstance(place, list) and place else "", str(fault.get("msg", ""))


def _inner(error: dict[str, Any]) -> ServerMessage:
    """Return the message of the server behind a router, which passes it on as text."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str):
        return ServerMessage("")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return ServerMessage(raw)
    return server_message({**body, "metadata": None} if isinstance(body, dict) else body)


def _short(text: str) -> str:
    return storable(text[:MAX_MESSAGE_CHARS])
