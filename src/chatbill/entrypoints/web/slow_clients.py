"""Clients that never finish a request are let go: half a request must not hold a connection for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 51\r\n\r\n"
    b"The request did not arrive whole in time: try again"
)


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that send each request, body and all, within `receive_timeout_s`.

    Connections between two requests are uvicorn's own matter. The time that an answer takes is not counted.
    """

    receive_timeout_s = 30.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has come, and should say what it wants."""
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or the whole of it."""
        if self._late is None:
            self._begin()
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._late = self.loop.call_later(self.receive_timeout_s, self._give_up)

    def _end(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_TOO_LATE)
        self.transport.close()


def protocol(*, receive_timeout_s: float) -> type[BoundedProtocol]:
    """The protocol with this timeouts, in seconds."""
    return type("BoundedProtocol", (BoundedProtocol,), {"receive_timeout_s": receive_timeout_s})
