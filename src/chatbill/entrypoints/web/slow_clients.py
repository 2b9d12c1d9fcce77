"""Disconnects clients that do not finish a request in time, or whose request is ambiguous."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from chatbill.entrypoints.web.strict_requests import StrictConnection

MAX_HEAD_BYTES: Final = 65_536
"""The longest head of a request, as in uvicorn."""

_TIMEOUT_RESPONSE = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 51\r\n\r\n"
    b"The request did not arrive whole in time: try again"
)


class BoundedProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol with a time limit of `receive_timeout_s` seconds for each request and its body.

    Uvicorn itself limits the time between two requests. The time that an answer takes is not counted.
    """

    receive_timeout_s = 30.0
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = StrictConnection(h11.SERVER, MAX_HEAD_BYTES)

    def connection_made(self, transport: Any) -> None:
        """Start the time limit when a client connects."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Start the time limit with the first part of a request, and stop it with the last."""
        if self._timer is None:
            self._start_timer()
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit when the client disconnects."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.receive_timeout_s, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_TIMEOUT_RESPONSE)
        self.transport.close()


def protocol(*, receive_timeout_s: float) -> type[BoundedProtocol]:
    """Return the protocol class with this time limit, in seconds."""
    return type("BoundedProtocol", (BoundedProtocol,), {"receive_timeout_s": receive_timeout_s})
