"""Waits for replies over HTTP, and abandons them when the client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from litestar.types import Receive

from chatbill.application.chat.events import End, Event, Failed
from chatbill.entrypoints.web.problems import ClientLeft
from chatbill.entrypoints.web.request_facts import current_facts


class ReplySource(Protocol):
    """A reply that is being written, or a stored one that is sent again."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over its events, the last one included."""
        ...

    async def abandon(self) -> None:
        """Stop writing, and return when the reply is settled for the events that were taken."""
        ...

    async def finished(self) -> End:
        """Wait for its last event and return it."""
        ...

    async def early_failure(self, *, within_s: float) -> Failed | None:
        """Return the failure of a reply that ends before its first token and within this time; takes no event."""
        ...


_abandoning: set[asyncio.Task[None]] = set()
"""Holds references to the tasks until they end, because the event loop holds only weak ones."""


async def abandon(reply: ReplySource) -> None:
    """Abandon a reply, and return once it is settled. Cancelling this wait does not stop the settling."""
    task = asyncio.ensure_future(_call_abandon(reply))
    _abandoning.add(task)
    task.add_done_callback(_abandoning.discard)
    await asyncio.shield(task)


async def wait_for_end(reply: ReplySource, receive: Receive, *, keep: bool) -> End:
    """Return the last event of a reply, for a client that wants the whole reply.

    When the client disconnects, the reply is abandoned and costs nothing, and `ClientLeft` is raised. With `keep` the
    reply is finished nevertheless, so that the client can ask for it again.
    """
    finished = asyncio.ensure_future(reply.finished())
    disconnected = asyncio.create_task(wait_for_disconnect(receive))
    watched: set[asyncio.Future[Any]] = {finished, disconnected}
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if keep or finished.done():
            end = await finished
            current_facts().note_end(end)
            return end
        raise ClientLeft
    finally:
        disconnected.cancel()
        if not keep and not finished.done():
            finished.cancel()
            await abandon(reply)


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _call_abandon(reply: ReplySource) -> None:
    await reply.abandon()
