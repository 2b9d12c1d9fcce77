"""Streams a reply as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, Protocol

from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from chatbill.application.chat.events import Completed, Delta, Event, Failed, Stopped
from chatbill.entrypoints.web.problems import problem_of_reply
from chatbill.entrypoints.web.replies import ReplySource, abandon, wait_for_disconnect
from chatbill.entrypoints.web.request_facts import CLIENT_LEFT, current_facts

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Tell proxies neither to cache the stream nor to buffer it."""

PING: Final = b": still here\n\n"

_log = logging.getLogger(__name__)


class EventRenderer(Protocol):
    """Writes the events of one reply in the format that its client reads."""

    def render_event(self, event: Event) -> bytes:
        """Return the bytes for an event of the reply."""
        ...

    def render_error(self, error: Exception) -> bytes:
        """Return the bytes for an unexpected error that ends the stream."""
        ...


class ReplyStream(ASGIStreamingResponse):
    """Sends the events of a reply as they come, and abandons the reply when the client disconnects."""

    __slots__ = ("_ended", "_ping_s", "_renderer", "_reply")

    def __init__(self, reply: ReplySource, renderer: EventRenderer, *, ping_s: float) -> None:
        super().__init__(iterator=[], media_type=MEDIA_TYPE, headers=dict(HEADERS), status_code=200)
        self._reply = reply
        self._renderer = renderer
        self._ping_s = ping_s
        self._ended = False

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send all events, or stop when the client disconnects."""
        disconnected = asyncio.create_task(wait_for_disconnect(receive))
        try:
            async with aclosing(self._frames(disconnected)) as frames:
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            disconnected.cancel()
            if not self._ended:
                facts = current_facts()
                facts.status = CLIENT_LEFT if facts.status == self.status_code else facts.status
                await abandon(self._reply)

    async def _frames(self, disconnected: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(_events_and_pings(self._reply, disconnected, self._ping_s)) as events:
                async for event in events:
                    if event is None:
                        yield PING
                    elif not (isinstance(event, Delta) and not event.text):
                        if isinstance(event, Completed | Stopped | Failed):
                            self._ended = True
                            _note_end(event)
                        yield self._renderer.render_event(event)
        except Exception as error:  # noqa: BLE001 - the stream ends with an event on any error
            _log.exception("stream_broke")
            current_facts().status = 500
            yield self._renderer.render_error(error)


def _note_end(end: Completed | Stopped | Failed) -> None:
    facts = current_facts()
    facts.note_end(end)
    if isinstance(end, Failed):
        # The client got a 200 before, and the error as an event.
        facts.status = problem_of_reply(end).status


async def _events_and_pings(
    reply: ReplySource, disconnected: asyncio.Task[None], ping_s: float
) -> AsyncGenerator[Event | None, None]:
    """Yield the events of a reply, and None after each `ping_s` seconds without one, until the client disconnects."""
    events = aiter(reply)
    coming: asyncio.Task[Event] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(events))
            watched: set[asyncio.Task[Any]] = {coming, disconnected}
            done, _ = await asyncio.wait(watched, timeout=ping_s, return_when=asyncio.FIRST_COMPLETED)
            if disconnected in done:
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
