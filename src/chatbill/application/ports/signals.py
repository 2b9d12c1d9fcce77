"""The signals port: short messages between the processes of one service, which may be lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

MAX_WAITING: Final = 256
"""The most messages that wait in an inbox; the oldest are lost beyond that."""


class Inbox:
    """The messages of one topic, for one listener."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    def put(self, text: str) -> None:
        """Add a message; the oldest one is lost if there are too many."""
        if self._messages.full():
            self._messages.get_nowait()
        self._messages.put_nowait(text)

    async def next(self, *, timeout_s: float) -> str | None:
        """Return the next message; None if there is none within this time."""
        try:
            return await asyncio.wait_for(self._messages.get(), timeout_s)
        except TimeoutError:
            return None


class Signals(Protocol):
    """Sends a text to all listeners of a topic, at once or never. What depends on it must also come right without."""

    async def send(self, topic: str, text: str) -> int:
        """Send it; return how many processes listened, 0 if that is unknown. Never raises."""
        ...

    def listen(self, topic: str) -> AbstractAsyncContextManager[Inbox]:
        """Return the inbox of a topic, which is filled while the block runs."""
        ...

    async def is_up(self) -> bool | None:
        """Return whether other processes can be reached; None where there are none."""
        ...

    async def close(self) -> None:
        """Fill no more inboxes."""
        ...


class LocalSignals:
    """Signals within this process, for a service of one process and for tests."""

    def __init__(self) -> None:
        self._inboxes: defaultdict[str, list[Inbox]] = defaultdict(list)

    async def send(self, topic: str, text: str) -> int:
        """Put the text into all inboxes of the topic."""
        inboxes = self._inboxes.get(topic, [])
        for inbox in inboxes:
            inbox.put(text)
        return len(inboxes)

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[Inbox]:
        """Fill an inbox while the block runs."""
        inbox = Inbox()
        self._inboxes[topic].append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes[topic].remove(inbox)
            if not self._inboxes[topic]:
                del self._inboxes[topic]

    async def is_up(self) -> bool | None:
        """Return None: there are no other processes."""
        return None

    async def close(self) -> None:
        """Do nothing: no connection is held."""
