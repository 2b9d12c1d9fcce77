"""Read the response of a server: bytes to events, events to chunks, with a limit on every size."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.adapters.inference.openai.refusals import is_too_long, server_message
from chatbill.domain.chat.interactions import storable

MAX_EVENT_BYTES = 1 << 20
"""Far more than a token takes: a server that sends more at once is not sending tokens."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_CUT_OFF = {
    **dict.fromkeys(("length", "max_tokens", "model_length"), True),
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence"), False),
}
"""Whether a reply with this finish reason was cut off; None for one with another reason."""
_FILTERED = frozenset(
    {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
)
_FAILED = frozenset({"error", "abort", "insufficient_system_resource", "network_error"})
_THOUGHTS = frozenset({"thinking", "reasoning"})
"""The types of parts whose text is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChunk:
    """The content of one event. `text` is the next part of the reply; `thought` is True for text that is not shown.

    `finished` and `done` are the server's two ways to mark the reply as complete; `cut_off` is True where the limit of
    tokens ended it, and None where the server does not say; `filtered` is True where a content filter ended it. The
    counts are the server's, in tokens.
    """

    text: str = ""
    thought: bool = False
    finished: bool = False
    done: bool = False
    cut_off: bool | None = None
    filtered: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class EventReader:
    """Parses server-sent events from bytes that may be cut anywhere, and returns the data of each complete event.

    Lines end at LF, CR or CRLF; a byte order mark at the start is skipped. Each event is decoded as a whole, so a
    character may be cut in two. Comments, which keep connections open, and fields other than `data` are skipped. A body
    that is one JSON object, from a server that does not stream, is one event.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False
        self._is_object: bool | None = None
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
        if self._is_object is None and (first := self._rest.lstrip()[:1]):
            self._is_object = first == b"{"
        if self._is_object:
            self._check(len(self._rest))
            return
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
        """Yield the last event, if the server left out the empty line after it; or the object."""
        if self._is_object:
            yield _decoded(self._rest)
            return
        yield from self._line(bytes(self._rest))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(b"data:"):
            self._size += len(line)
            self._check(self._size)
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
        elif not line and self._data:
            event, self._data, self._size = b"\n".join(self._data), [], 0
            yield _decoded(event)

    def _check(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise ServerError(ErrorKind.BROKEN, f"an event is longer than {MAX_EVENT_BYTES} bytes")


def _decoded(event: bytes | bytearray) -> str:
    try:
        return event.decode()
    except UnicodeDecodeError:
        raise ServerError(ErrorKind.BROKEN, "an event is not UTF-8") from None


def read_chunk(event: str, *, begun: bool = False) -> ServerChunk:
    """Return the content of an event. Raises `ServerError` for an error in it, and for an event that is no chunk.

    `begun` is True once the reply has text or thoughts. A server that does not stream sends its whole reply as one
    event, with a message in the place of a delta.
    """
    if event.strip() == "[DONE]":
        return ServerChunk(done=True)
    try:
        body = json.loads(event)
    except (ValueError, RecursionError):
        raise _odd(event, "is not JSON") from None
    if not isinstance(body, dict):
        raise _odd(event, "is not an object")
    if body.get("error"):
        raise _error(body, begun=begun)
    choice = _first(body.get("choices"))
    is_whole = "delta" not in choice and "message" in choice
    text, thought = _content(_object(choice.get("message" if is_whole else "delta")))
    finish = choice.get("finish_reason")
    reason = finish.lower() if isinstance(finish, str) else ""
    if reason in _FAILED:
        raise ServerError(ErrorKind.BROKEN, "the server ended the reply with an error")
    usage = _usage(body, choice)
    return ServerChunk(
        text=text,
        thought=thought,
        finished=bool(finish) or is_whole,
        cut_off=_CUT_OFF.get(reason),
        filtered=reason in _FILTERED,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _error(body: dict[str, Any], *, begun: bool) -> ServerError:
    message = server_message(body)
    # A prompt that is too long is refused before anything is written; later, the window is full.
    kind = ErrorKind.TOO_LONG if is_too_long(message) and not begun else ErrorKind.BROKEN
    return ServerError(kind, f"error in the stream: {message}", details=f"error in the stream: {message.text}")


def _content(said: dict[str, Any]) -> tuple[str, bool]:
    """Return the text of a delta or a message, and whether it has thoughts. A refusal is text, too."""
    thought = bool(said.get("reasoning_content") or said.get("reasoning"))
    content = said.get("content")
    if isinstance(content, list):
        parts = [part if isinstance(part, dict) else {"text": part} for part in content]
        thought = thought or any(part.get("type") in _THOUGHTS for part in parts)
        texts = [part.get("text") or "" for part in parts if part.get("type") not in _THOUGHTS]
    else:
        texts = [content or said.get("refusal") or ""]
    if not all(isinstance(text, str) for text in texts):
        raise ServerError(ErrorKind.BROKEN, "the content of a delta is not text")
    return "".join(texts), thought


def _usage(body: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    """Return the usage from any of the places where servers put it."""
    places = (body.get("usage"), choice.get("usage"), _object(body.get("x_groq")).get("usage"), _timings(body))
    return next((usage for usage in places if isinstance(usage, dict) and usage), {})


def _timings(body: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens of the reply so far, which llama.cpp adds to each event on request."""
    written = _object(body.get("timings")).get("predicted_n")
    return {"completion_tokens": written} if written else {}


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
