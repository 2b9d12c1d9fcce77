"""A reply as server-sent events (WHATWG HTML, section 9.2), in whatever words its client knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, Protocol

from litestar.response.streaming import ASGIStreamingResponse
from litestar.serialization import encode_json
from litestar.types import Receive, Send

from chatbill.application.chat.events import Accepted, Completed, Delta, Event, Failed, Stopped
from chatbill.entrypoints.http.views.chat import ReplyView
from chatbill.entrypoints.web.problems import problem_of, problem_of_reply
from chatbill.entrypoints.web.replies import WatchedReply, let_go, until_gone

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Proxies neither keep the stream nor gather it before they pass it on."""

PING: Final = b": still here\n\n"

_log = logging.getLogger(__name__)


class Rendering(Protocol):
    """How the events of one reply are written."""

    def frame(self, event: Event) -> bytes:
        """An event of the reply."""
        ...

    def broken(self, error: Exception) -> bytes:
        """What is said where the stream itself breaks."""
        ...


class ChatbillEvents:
    """`accepted`, `delta` each, then `done` or `error`."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def frame(self, event: Event) -> bytes:
        """One event of the stream for each of the reply."""
        match event:
            case Accepted():
                accepted = {"id": event.interaction_id, "conversation_id": event.conversation_id, "held": event.held}
                return _encoded("accepted", accepted)
            case Delta():
                return _encoded("delta", {"text": event.text})
            case Completed() | Stopped():
                return _encoded("done", ReplyView.of(event.interaction))
            case Failed():
                return _encoded("error", problem_of_reply(event).body(self._request_id))

    def broken(self, error: Exception) -> bytes:
        """A problem."""
        return _encoded("error", problem_of(error).body(self._request_id))


class ReplyStream(ASGIStreamingResponse):
    """Sends the events of a reply as they come, and lets the reply go when the client does."""

    __slots__ = ("_ended", "_ping_s", "_rendering", "_reply")

    def __init__(self, reply: WatchedReply, rendering: Rendering, *, ping_s: float) -> None:
        super().__init__(iterator=[], media_type=MEDIA_TYPE, headers=dict(HEADERS), status_code=200)
        self._reply = reply
        self._rendering = rendering
        self._ping_s = ping_s
        self._ended = False

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send everything, unless the client leaves before the end."""
        leaving = asyncio.create_task(until_gone(receive))
        try:
            async with aclosing(self._frames(leaving)) as frames:
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            if not self._ended:
                await let_go(self._reply)

    async def _frames(self, leaving: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(_watched(self._reply, leaving, self._ping_s)) as events:
                async for event in events:
                    if event is None:
                        yield PING
                    elif not (isinstance(event, Delta) and not event.text):
                        self._ended = isinstance(event, Completed | Stopped | Failed)
                        yield self._rendering.frame(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream ends with an event
            _log.exception("a stream of events broke")
            yield self._rendering.broken(error)


async def _watched(
    reply: WatchedReply, leaving: asyncio.Task[None], ping_s: float
) -> AsyncGenerator[Event | None, None]:
    """The events of a reply, and None after each `ping_s` seconds of silence; ends early when the client leaves."""
    events = aiter(reply)
    coming: asyncio.Task[Event] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(events))
            watched: set[asyncio.Task[Any]] = {coming, leaving}
            done, _ = await asyncio.wait(watched, timeout=ping_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving in done:
                return
            if coming not in done:
                yield None
                continue
            event, coming = coming.result(), None
            yield event
            if isinstance(event, Completed | Stopped | Failed):
                return
    finally:
        if coming is not None:
            coming.cancel()


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


def _encoded(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encode_json(data) + b"\n\n"
