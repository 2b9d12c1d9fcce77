"""Read the response of a server: bytes to events, events to chunks, with a limit on every size."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.domain.chat.interactions import storable

MAX_EVENT_BYTES = 1 << 20
"""Far more than a token takes: a server that sends more at once is not sending tokens."""
MAX_MESSAGE_CHARS = 300
"""The most characters that are kept of a server's error message."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChunk:
    """The content of one event. `text` is the next part of the reply; `thought` is True for text that is not shown.

    `finished` and `done` are the server's two ways to mark the reply as complete; `cut_off` is True where the limit of
    tokens ended it, and None where the server does not say. The counts are the server's, in tokens.
    """

    text: str = ""
    thought: bool = False
    finished: bool = False
    done: bool = False
    cut_off: bool | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class EventReader:
    """Parses server-sent events from bytes that may be cut anywhere, and returns the data of each complete event.

    Lines end at LF, CR or CRLF; a byte order mark at the start is skipped. Each event is decoded as a whole, so a
    character may be cut in two. Comments, which keep connections open, and fields other than `data` are skipped.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False
        self._after_cr = False
        self._data: list[bytes] = []
        self._size = 0

    def push(self, received: bytes) -> Iterator[str]:
        """Yield the events that these bytes complete."""
        self._rest += received
        if not self._begun:
            if len(self._rest) < len(BOM_UTF8) and BOM_UTF8.startswith(self._rest):
                return
            self._begun = True
            self._rest = self._rest.removeprefix(BOM_UTF8)
        if self._after_cr:
            # The line ended at its CR, without waiting for an LF that may not come.
            self._rest = self._rest.removeprefix(b"\n")
        self._after_cr = self._rest.endswith(b"\r")
        *lines, rest = _LINE_END.split(self._rest)
        self._rest = bytearray(rest)
        for line in lines:
            yield from self._line(bytes(line))
        self._check(len(self._rest))

    def finish(self) -> Iterator[str]:
        """Yield the last event, if the server left out the empty line after it."""
        yield from self._line(bytes(self._rest))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(b"data:"):
            self._size += len(line)
            self._check(self._size)
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
        elif not line and self._data:
            event, self._data, self._size = b"\n".join(self._data), [], 0
            try:
                yield event.decode()
            except UnicodeDecodeError:
                raise ServerError(ErrorKind.BROKEN, "an event is not UTF-8") from None

    def _check(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise ServerError(ErrorKind.BROKEN, f"an event is longer than {MAX_EVENT_BYTES} bytes")


def read_chunk(event: str) -> ServerChunk:
    """Return the content of an event. Raises `ServerError` for an error in it, and for an event that is no chunk."""
    if event.strip() == "[DONE]":
        return ServerChunk(done=True)
    try:
        body = json.loads(event)
    except (ValueError, RecursionError):
        raise _odd(event, "is not JSON") from None
    if not isinstance(body, dict):
        raise _odd(event, "is not an object")
    if body.get("error"):
        said = server_message(body)
        raise ServerError(ErrorKind.BROKEN, f"error in the stream: {said}", details=f"error in the stream: {said.text}")
    choice, usage = _first(body.get("choices")), _object(body.get("usage"))
    delta = _object(choice.get("delta"))
    text, thought = delta.get("content"), delta.get("reasoning_content") or delta.get("reasoning")
    if text is not None and not isinstance(text, str):
        raise ServerError(ErrorKind.BROKEN, "the content of a delta is not text")
    finish = choice.get("finish_reason")
    if finish == "error":
        raise ServerError(ErrorKind.BROKEN, "the server ended the reply with an error")
    return ServerChunk(
        text=text or "",
        thought=bool(thought),
        finished=bool(finish),
        cut_off={"length": True, "stop": False}.get(finish) if isinstance(finish, str) else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A server's error message, shortened. `text` may quote what a user wrote; the `names` of errors do not.

    `str` returns the part that may be logged.
    """

    text: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f"{' '.join(self.names)}, " if self.names else ""
        return f"{names}{len(self.text)} characters"


def server_message(body: Any) -> ServerMessage:
    """Return the message in an error body, in any of the shapes that servers use."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        parts = {name: error.get(name) for name in ("code", "type", "param", "message", "detail")}
        given = {name: str(part) for name, part in parts.items() if isinstance(part, str | int) and part}
        names = tuple(part for name, part in given.items() if name in {"code", "type"} and _NAME.fullmatch(part))
        return ServerMessage(_short(" ".join(given.values())), names)
    return ServerMessage(_short(error) if isinstance(error, str) else "no message")


def _short(text: str) -> str:
    return storable(text[:MAX_MESSAGE_CHARS])


def _odd(event: str, what: str) -> ServerError:
    return ServerError(
        ErrorKind.BROKEN,
        f"an event of {len(event)} characters {what}",
        details=f"an event {what}: {storable(event[:80])!r}",
    )


def _first(choices: Any) -> dict[str, Any]:
    return _object(choices[0]) if isinstance(choices, list) and choices else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    """Return a count if it is plausible; servers that do not count send 0, or null."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
