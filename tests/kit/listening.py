"""Reads the event connection of the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

Told = tuple[str, dict[str, Any]]


class Listener:
    """Reads the event connection of a browser, as an EventSource does."""

    def __init__(self, web: FastAPI, cookie: str, last_id: str = "", query: str = "") -> None:
        self.last_id = last_id
        self._query = query
        self.status = 0
        self._web, self._cookie = web, cookie
        self._events: asyncio.Queue[Told | None] = asyncio.Queue()
        self._rest = ""
        self._gone = asyncio.Event()

    async def run(self) -> None:
        headers = [(b"host", b"chat.example.org"), (b"cookie", self._cookie.encode())]
        if self.last_id:
            headers.append((b"last-event-id", self.last_id.encode()))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/web/events", "raw_path": b"/web/events", "query_string": self._query.encode(), "root_path": "",
            "headers": headers, "client": ("192.0.2.1", 1), "server": ("chat.example.org", 80), "state": {},
        }  # fmt: skip
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            else:
                self._take(message.get("body", b"").decode())

        await self._web(scope, receive, send)
        self._events.put_nowait(None)

    def leave(self) -> None:
        self._gone.set()

    def _take(self, text: str) -> None:
        *frames, self._rest = (self._rest + text).split("\n\n")
        for frame in frames:
            fields = dict(line.split(": ", 1) for line in frame.split("\n") if ": " in line and line[0] != ":")
            self.last_id = fields.get("id", self.last_id)
            if "event" in fields:
                self._events.put_nowait((fields["event"], json.loads(fields["data"])))

    async def next(self) -> Told | None:
        return await asyncio.wait_for(self._events.get(), 10)

    async def until(self, name: str) -> list[Told]:
        """Return the events up to the next one of this name."""
        told: list[Told] = []
        while not told or told[-1][0] != name:
            event = await self.next()
            assert event is not None, f"the connection ended before {name}: {told}"
            told.append(event)
        return told


@asynccontextmanager
async def listening(web: FastAPI, cookie: str, last_id: str = "", query: str = "") -> AsyncIterator[Listener]:
    listener = Listener(web, cookie, last_id, query)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        listener.leave()
        await asyncio.wait_for(task, 10)
