"""Replies over HTTP: waited for or streamed, and let go when the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from litestar.types import Receive

from chatbill.application.chat.events import End, Event
from chatbill.entrypoints.web.problems import ClientLeft


class WatchedReply(Protocol):
    """A reply that is being written, or one that was written before."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Its events, the last one included."""
        ...

    async def abandon(self) -> None:
        """Stop writing; return when it is settled for what was taken."""
        ...

    async def finished(self) -> End:
        """Its last event."""
        ...


_letting_go: set[asyncio.Task[None]] = set()
"""The loop keeps only weak references to tasks; these must be finished."""


async def let_go(reply: WatchedReply) -> None:
    """Abandon a reply, and return once it is settled. Cancelling this wait does not stop the settling."""
    task = asyncio.ensure_future(_abandon(reply))
    _letting_go.add(task)
    task.add_done_callback(_letting_go.discard)
    await asyncio.shield(task)


async def wait_for_end(reply: WatchedReply, receive: Receive, *, keep: bool) -> End:
    """The end of a reply, for a client that wants it whole.

    A client that leaves gets nothing, so the reply is abandoned and costs nothing, and `ClientLeft` is raised;
    with `keep` it is finished all the same, for the client that will ask again.
    """
    finished = asyncio.ensure_future(reply.finished())
    leaving = asyncio.create_task(until_gone(receive))
    watched: set[asyncio.Future[Any]] = {finished, leaving}
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if keep or finished.done():
            return await finished
        raise ClientLeft
    finally:
        leaving.cancel()
        if not keep and not finished.done():
            finished.cancel()
            await let_go(reply)


async def until_gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _abandon(reply: WatchedReply) -> None:
    await reply.abandon()
