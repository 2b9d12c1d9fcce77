"""Disconnects clients that send or read too slowly, or whose request is ambiguous."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.web.connections import ConnectionBounds, Connections, Stage, is_signed_in
from chatbill.entrypoints.web.joined_writes import JoinedWrites
from chatbill.entrypoints.web.problems import MalformedRequest
from chatbill.entrypoints.web.refusals import RequestTimeout, last_response, refuse_connection
from chatbill.entrypoints.web.strict_requests import StrictConnection

MAX_HEAD_BYTES: Final = 65_536
"""The longest head of a request, as in uvicorn."""
FIRST_BYTE_S: Final = 5.0
MIN_BYTES_PER_S: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTimeouts:
    """How long clients may take, in seconds.

    A new connection sends its first byte within `first_byte_s`, and each request with its body within `receive_s`. A
    client that does not take at least `MIN_BYTES_PER_S` within each `send_s` is disconnected.
    """

    receive_s: float = 30.0
    first_byte_s: float = FIRST_BYTE_S
    send_s: float = 30.0


class BoundedProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol with time limits for requests and answers, and bounds on connections.

    Uvicorn itself limits the time between two requests. The time in which an answer is made is not counted.
    """

    timeouts = ClientTimeouts()
    counted: Connections
    address: str | None = None
    is_signed_in = False
    waiting_since = 0.0
    _receiving: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    _got_nothing = True
    _is_accepted = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = StrictConnection(h11.SERVER, MAX_HEAD_BYTES)

    def connection_made(self, transport: Any) -> None:
        """Count the connection, and start the time limit for its first byte."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        # The application waits until the system has taken everything, so a paused transport shows a slow client.
        transport.set_write_buffer_limits(high=0)
        self.waiting_since = self.loop.time()
        self.address = self.counted.address_of(self.client)
        self._is_accepted = self.counted.add(self)
        self._start_receiving(min(self.timeouts.first_byte_s, self.timeouts.receive_s))

    def data_received(self, data: bytes) -> None:
        """Start the time limit with the first part of a request, and stop it with the last."""
        if self._got_nothing or self._receiving is None:
            self._got_nothing = False
            self.waiting_since = self.loop.time()
            self._start_receiving(self.timeouts.receive_s)
        has_place = self._is_accepted and self.counted.has_place(self, now=self.loop.time())
        self.app = self.config.loaded_app if has_place else refuse_connection
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._stop_receiving()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is no valid request, and close the connection."""
        self._end(MalformedRequest.of("request", "ambiguous_http"))

    def on_response_complete(self) -> None:
        """Note when the connection began to wait for the next request, of which a part may have come already."""
        self.waiting_since = self.loop.time()
        self.is_signed_in = is_signed_in(self.scope)
        super().on_response_complete()
        if self.stage is not Stage.NOTHING:
            # Uvicorn's limit is for the time between two requests.
            self._unset_keepalive_if_required()
        if self.stage in {Stage.PART_OF_HEAD, Stage.PART_OF_BODY}:
            self._start_receiving(self.timeouts.receive_s)

    def pause_writing(self) -> None:
        """Start the time limit for taking what is sent."""
        super().pause_writing()
        self._start_sending()
        self.counted.leaves_unread(self)

    def resume_writing(self) -> None:
        """Stop the time limit when everything is taken."""
        super().resume_writing()
        self._stop_sending()
        self.counted.reads_again(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limits when the connection is closed."""
        self._stop_receiving()
        self._stop_sending()
        self.counted.remove(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close a connection that waits for its next request, and let a new one send its first."""
        # A proxy that has connected just now sends its request at once, and may not send it a second time elsewhere.
        if not self._got_nothing:
            super().shutdown()

    @property
    def stage(self) -> Stage | None:
        """Return what was received of the request; None while a request is answered."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return Stage.PART_OF_HEAD if self.conn.trailing_data[0] else Stage.NOTHING
        if cycle.response_started or self.conn.their_state is not h11.SEND_BODY:
            return None
        return Stage.PART_OF_BODY

    @property
    def unsent_bytes(self) -> int:
        """Return the bytes that the client has not taken."""
        return int(self.transport.get_write_buffer_size())

    def drop(self) -> None:
        """Disconnect the client at once."""
        self.transport.abort()

    def _start_receiving(self, seconds: float) -> None:
        self._stop_receiving()
        self._receiving = self.loop.call_later(seconds, self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._end(RequestTimeout())

    def _end(self, error: ChatbillError) -> None:
        """Say why, unless an answer was begun, and close the connection."""
        cycle: Any = self.cycle
        is_running = cycle is not None and not cycle.response_complete
        if not is_running or not cycle.response_started:
            self.transport.write(last_response(error, cycle.scope if is_running else None, self.address))
        if is_running:
            # The application learns it as if the client had left, and sends nothing more.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _start_sending(self) -> None:
        self._sending = self.loop.call_later(self.timeouts.send_s, self._check_sending, self.unsent_bytes)

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _check_sending(self, before: int) -> None:
        if before - self.unsent_bytes < MIN_BYTES_PER_S * self.timeouts.send_s:
            self.drop()
        else:
            self._start_sending()


def protocol(timeouts: ClientTimeouts, bounds: ConnectionBounds) -> type[BoundedProtocol]:
    """Return the protocol class of one server, whose connections share these bounds."""
    connections = Connections(bounds)
    return type("BoundedProtocol", (BoundedProtocol,), {"timeouts": timeouts, "counted": connections})
