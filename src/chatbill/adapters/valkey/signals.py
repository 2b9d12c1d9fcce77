"""Signals between processes by the publish and subscribe of a Valkey server."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from valkey.asyncio.client import PubSub
from valkey.exceptions import ValkeyError

from chatbill.adapters.valkey.server import RETRY_S, TIMEOUT_S, ServerAway, ValkeyServer
from chatbill.application.ports.signals import Inbox

PREFIX: Final = "chatbill:"
ALWAYS: Final = "all"
"""A topic that is always subscribed to, because a connection without one cannot be read."""
QUIET_S: Final = 5.0
"""After this time without a message the server is asked for a sign of life."""

_log = logging.getLogger(__name__)


class ValkeySignals:
    """Signals that reach all processes with the same server. One connection receives those of all topics."""

    def __init__(self, server: ValkeyServer, *, quiet_s: float = QUIET_S) -> None:
        self._server = server
        self._quiet_s = quiet_s
        self._inboxes: defaultdict[str, list[Inbox]] = defaultdict(list)
        self._confirmed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._connected: PubSub | None = None
        self._receiving: asyncio.Task[None] | None = None

    async def send(self, topic: str, text: str) -> int:
        """Publish the text; return how many processes listen to the topic, 0 while the server is away."""
        try:
            return int(await self._server.ask(lambda client: client.publish(PREFIX + topic, text)))
        except ServerAway:
            return 0

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[Inbox]:
        """Fill an inbox while the block runs, and as long as the server answers."""
        inbox = Inbox()
        self._inboxes[topic].append(inbox)
        if self._receiving is None:
            self._receiving = asyncio.create_task(self._receive_for_ever(), name="signals")
        try:
            await self._subscribe(topic)
            yield inbox
        finally:
            self._inboxes[topic].remove(inbox)
            if not self._inboxes[topic]:
                await self._unsubscribe(topic)

    async def is_up(self) -> bool | None:
        """Return whether the server answers."""
        return await self._server.answers()

    async def close(self) -> None:
        """Receive no more."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait({self._receiving})

    async def _subscribe(self, topic: str) -> None:
        """Subscribe, and wait a moment until the server has confirmed it: what is sent after that arrives."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if self._connected is not None and not self._confirmed[topic].is_set():
                    await self._connected.subscribe(PREFIX + topic)
                await self._confirmed[topic].wait()
        except (ValkeyError, OSError, TimeoutError):
            return  # the next connection subscribes to all topics

    async def _unsubscribe(self, topic: str) -> None:
        del self._inboxes[topic]
        self._confirmed.pop(topic, None)
        if self._connected is not None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._connected.unsubscribe(PREFIX + topic)
            except (ValkeyError, OSError, TimeoutError):
                return

    async def _receive_for_ever(self) -> None:
        while True:
            try:
                await self._receive()
            except (ValkeyError, OSError, TimeoutError):
                pass  # the calls that need the server report it
            except Exception:  # noqa: BLE001 - logged; every listener depends on this task
                _log.exception("signals_not_received")
            await asyncio.sleep(RETRY_S)

    async def _receive(self) -> None:
        """Receive messages over one connection, until it fails."""
        async with self._server.client.pubsub() as connection:
            try:
                known = {ALWAYS, *self._inboxes}
                async with asyncio.timeout(TIMEOUT_S):
                    await connection.subscribe(*(PREFIX + topic for topic in known))
                self._connected = connection
                if late := self._inboxes.keys() - known:
                    async with asyncio.timeout(TIMEOUT_S):
                        await connection.subscribe(*(PREFIX + topic for topic in late))
                is_asked = False
                while True:
                    message = await connection.get_message(timeout=self._quiet_s)
                    if message is None and is_asked:
                        raise TimeoutError
                    is_asked = message is None
                    if message is None:
                        await connection.ping()
                    else:
                        self._take(message)
            finally:
                self._connected = None
                self._confirmed.clear()

    def _take(self, message: dict[str, Any]) -> None:
        topic = (message["channel"] or b"").decode().removeprefix(PREFIX)
        if message["type"] == "subscribe":
            self._confirmed[topic].set()
        elif message["type"] == "message":
            for inbox in self._inboxes.get(topic, ()):
                inbox.put(message["data"].decode())
