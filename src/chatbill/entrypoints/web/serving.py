"""Serves an application on a socket until a signal, then lets replies finish and settles every hold."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import structlog
import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

from chatbill.application.chat.running_replies import Replies
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.connections import ConnectionBounds
from chatbill.entrypoints.web.proxies import BehindProxies
from chatbill.entrypoints.web.slow_clients import ClientTimeouts, protocol

Mode = Literal["all", "api", "ui"]
"""What is served: the API, the web page, or both."""

CLOSE_TIMEOUT_S = 3.0
"""How long clients may take to read the end of a reply once everything is settled."""

LAST_REQUESTS_S = 0.5
"""How long requests are accepted on connections that were there when the socket was closed, after a drain."""

KEEP_ALIVE_S = 130
"""How long a connection may wait for its next request: longer than proxies keep theirs (nginx a minute, Caddy two).

Where the service closed it first, a message that was sent at that moment would be lost, because a proxy sends no
message twice.
"""

_log = structlog.get_logger(__name__)


class CannotListen(ChatbillError):
    """The server cannot listen on its address."""

    code = "cannot_listen"


@dataclass(frozen=True, slots=True)
class Service:
    """An ASGI application and how to serve it.

    After SIGTERM, requests are accepted for `drain_s` seconds more. Replies that run then have `shutdown_grace_s`
    seconds to finish. Connections are held to `timeouts` and `bounds`, and the forwarding headers of the trusted
    proxies among the bounds are believed. Everything is served below `root_path`. `has_lifespan` is True if the
    application handles ASGI's lifespan events. `on_stop` is called at shutdown, and makes the application close the
    connections that would otherwise stay open.
    """

    app: Any
    _: KW_ONLY
    shutdown_grace_s: float
    drain_s: float = 0
    timeouts: ClientTimeouts = field(default_factory=ClientTimeouts)
    bounds: ConnectionBounds = field(default_factory=ConnectionBounds)
    root_path: str = ""
    has_lifespan: bool = False
    on_stop: Callable[[], None] = lambda: None


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, because `serve` handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


def bind(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Reserve an address. Connections are refused until the server listens.

    Raises `CannotListen`, which names the `option` with which the port is chosen.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error}. Check --host.") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror}. Choose another one with {option}."
        ) from error
    return sock


async def serve(service: Service, sock: socket.socket, replies: Replies, *, announce: Callable[[], None]) -> None:
    """Answer requests on `sock` until SIGTERM or Ctrl-C. `announce` is called once requests are answered.

    A second signal ends the drain, which only SIGTERM begins, and the grace for running replies.
    """
    addresses = ClientAddresses.behind(service.bounds.trusted_proxies)
    config = uvicorn.Config(
        BehindProxies(service.app, addresses, root_path=service.root_path, per_address=service.bounds.per_address),
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        http=protocol(service.timeouts, service.bounds),
        lifespan="on" if service.has_lifespan else "off",
        ws="none",
        server_header=False,
        proxy_headers=False,
    )
    server = _Server(config)
    stop, hurry = asyncio.Event(), asyncio.Event()
    drain_s = 0.0

    def on_signal(name: signal.Signals) -> None:
        nonlocal drain_s
        if stop.is_set():
            hurry.set()
            return
        # No balancer has to learn that a service in a terminal stops.
        drain_s = service.drain_s if name is signal.SIGTERM else 0
        stop.set()

    with _signals(on_signal):
        running = asyncio.create_task(server.serve(sockets=[sock]))
        await _started(server, running)
        announce()
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await _drain(server, running, replies, hurry, drain_s)
        await _stop(server, running, replies, hurry, service)


async def _started(server: uvicorn.Server, running: asyncio.Task[None]) -> None:
    while not server.started:
        if running.done():
            running.result()
            raise CannotListen("the server stopped before it had started; the log says why.")
        await asyncio.sleep(0.01)


async def _drain(
    server: uvicorn.Server, running: asyncio.Task[None], replies: Replies, hurry: asyncio.Event, drain_s: float
) -> None:
    """Answer requests as before for `drain_s` seconds, in which balancers learn that the service will stop.

    At the end of that time the socket is closed. Then those who connected before get their answers.
    """
    _log.info("draining", seconds=drain_s, running_replies=len(replies))
    replies.will_close = True
    # A proxy must not send a request on a connection that is about to be closed. Uvicorn copies this list every second.
    server.config.encoded_headers.append(CLOSE_HEADER)
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({running, hurrying}, timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    if drain_s:
        await asyncio.wait({running, hurrying}, timeout=LAST_REQUESTS_S, return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()


async def _stop(
    server: uvicorn.Server, running: asyncio.Task[None], replies: Replies, hurry: asyncio.Event, service: Service
) -> None:
    """Accept no more requests, let replies finish within the grace, settle the others, and close."""
    _log.info("stopping", running_replies=len(replies))
    server.should_exit = True
    service.on_stop()
    draining = asyncio.create_task(replies.drain(grace_s=service.shutdown_grace_s))
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await replies.drain(grace_s=0)
    await draining
    hurrying.cancel()
    await asyncio.wait({running}, timeout=CLOSE_TIMEOUT_S)
    # Everything is settled by now, and clients have had time to read the end.
    server.force_exit = True
    await running


@contextlib.contextmanager
def _signals(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)

    def on_any(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(on_signal, signal.Signals(number))

    before = {name: signal.signal(name, on_any) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
