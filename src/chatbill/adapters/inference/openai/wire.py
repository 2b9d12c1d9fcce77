"""Reading the answer of a server: bytes to events, events to chunks, every size bounded."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatbill.adapters.inference.openai.errors import Kind, ServerError
from chatbill.domain.chat.interactions import storable

MAX_EVENT_BYTES = 1 << 20
"""Far more than a token takes; a server that sends more at once is not sending tokens."""
MAX_WORDS = 300
"""Characters that are kept of what a server says of an error."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChunk:
    """What one event says. `text` is the next part of the reply, `thought` is True for text that is not shown.

    `finished` and `done` are the server's two ways to say that the reply is whole, and `cut_off` whether that is so
    because it may have no more tokens, where it says so. The counts are its own, in tokens.
    """

    text: str = ""
    thought: bool = False
    finished: bool = False
    done: bool = False
    cut_off: bool | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class EventReader:
    """Takes bytes as they come, cut anywhere, and gives the data of each server-sent event once it is complete.

    Lines end at LF, CR or CRLF, and a mark of byte order before them all means nothing. Text is decoded by whole
    events, so a character may be cut in two. Comments, which keep connections open, and fields other than `data` are
    left out.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False
        self._after_cr = False
        self._data: list[bytes] = []
        self._size = 0

    def push(self, received: bytes) -> Iterator[str]:
        """The events that these bytes complete."""
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
        """The last event, where the server left out the empty line after it."""
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
                raise ServerError(Kind.BROKEN, "an event is not UTF-8") from None

    def _check(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise ServerError(Kind.BROKEN, f"an event is longer than {MAX_EVENT_BYTES} bytes")


def read_chunk(event: str) -> ServerChunk:
    """What an event says; raises `ServerError` for an error in it, and for what is not a chunk."""
    if event.strip() == "[DONE]":
        return ServerChunk(done=True)
    try:
        body = json.loads(event)
    except (ValueError, RecursionError):
        raise _odd(event, "is not JSON") from None
    if not isinstance(body, dict):
        raise _odd(event, "is not an object")
    if body.get("error"):
        said = said_in(body)
        raise ServerError(Kind.BROKEN, f"error in the stream: {said}", details=f"error in the stream: {said.words}")
    choice, usage = _first(body.get("choices")), _object(body.get("usage"))
    delta = _object(choice.get("delta"))
    text, thought = delta.get("content"), delta.get("reasoning_content") or delta.get("reasoning")
    if text is not None and not isinstance(text, str):
        raise ServerError(Kind.BROKEN, "the content of a delta is not text")
    finish = choice.get("finish_reason")
    if finish == "error":
        raise ServerError(Kind.BROKEN, "the server ended the reply with an error")
    return ServerChunk(
        text=text or "",
        thought=bool(thought),
        finished=bool(finish),
        cut_off={"length": True, "stop": False}.get(finish) if isinstance(finish, str) else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What a server says went wrong, short. `words` may quote what a person wrote, the `names` of errors do not.

    As text it is what may be logged of it.
    """

    words: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f"{' '.join(self.names)}, " if self.names else ""
        return f"{names}{len(self.words)} characters"


def said_in(body: Any) -> Said:
    """What a server says went wrong, from the shapes that servers give it."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        parts = {name: error.get(name) for name in ("code", "type", "param", "message", "detail")}
        told = {name: str(part) for name, part in parts.items() if isinstance(part, str | int) and part}
        names = tuple(part for name, part in told.items() if name in {"code", "type"} and _NAME.fullmatch(part))
        return Said(_short(" ".join(told.values())), names)
    return Said(_short(error) if isinstance(error, str) else "no words")


def _short(words: str) -> str:
    return storable(words[:MAX_WORDS])


def _odd(event: str, what: str) -> ServerError:
    return ServerError(
        Kind.BROKEN, f"an event of {len(event)} characters {what}", details=f"an event {what}: {storable(event[:80])!r}"
    )


def _first(choices: Any) -> dict[str, Any]:
    return _object(choices[0]) if isinstance(choices, list) and choices else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    """A count that can be true; servers that do not count say 0, or null."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
