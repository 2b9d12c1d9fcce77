"""One server on one socket: it answers until told to stop, and then lets replies finish and settles every hold."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn

from chatbill.application.chat.replies import Replies
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.web.slow_clients import protocol

LAST_WORDS_S = 3.0
"""How long connections may take to read the end of a reply once everything is settled."""

_log = structlog.get_logger(__name__)


class CannotListen(ChatbillError):
    """The address cannot be listened on; the text says why and what to do."""

    code = "cannot_listen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How to serve.

    `shutdown_grace_s` is the grace for running replies, in seconds. A client has `receive_timeout_s` seconds to send a
    request, and of more than `max_connections` at once some are answered 503. The forwarding headers of
    `trusted_proxies` count. `has_lifespan` says that the application has work of its own to do at start and stop;
    `let_go` makes it end the connections that would stay open for ever.
    """

    shutdown_grace_s: float
    receive_timeout_s: float = 30.0
    max_connections: int = 800
    trusted_proxies: tuple[str, ...] = ()
    has_lifespan: bool = False
    let_go: Callable[[], None] = lambda: None


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: stopping is more than closing sockets here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Take the address before anything slow is done; connections are refused until the server listens.

    Raises `CannotListen`.
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
            f"cannot listen on {host} port {port}: {error.strerror}. Choose another one with --port."
        ) from error
    return sock


async def serve(
    app: Any, sock: socket.socket, replies: Replies, serving: Serving, *, announce: Callable[[], None]
) -> None:
    """Answer requests on `sock` until SIGTERM or Ctrl-C; `announce` is called once they are answered.

    A second signal cuts the grace short.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=protocol(receive_timeout_s=serving.receive_timeout_s),
        limit_concurrency=serving.max_connections,
        lifespan="on" if serving.has_lifespan else "off",
        ws="none",
        server_header=False,
        proxy_headers=bool(serving.trusted_proxies),
        forwarded_allow_ips=list(serving.trusted_proxies),
    )
    server = _Server(config)
    stop, hurry = asyncio.Event(), asyncio.Event()
    with _signals(lambda: hurry.set() if stop.is_set() else stop.set()):
        running = asyncio.create_task(server.serve(sockets=[sock]))
        await _started(server, running)
        announce()
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await _stop(server, running, replies, hurry, serving)


async def _started(server: uvicorn.Server, running: asyncio.Task[None]) -> None:
    while not server.started:
        if running.done():
            running.result()
            raise CannotListen("the server stopped before it had started; the log says why.")
        await asyncio.sleep(0.01)


async def _stop(
    server: uvicorn.Server, running: asyncio.Task[None], replies: Replies, hurry: asyncio.Event, serving: Serving
) -> None:
    """Take no more work, let replies finish within the grace, settle the rest, and close."""
    _log.info("stopping", running_replies=len(replies))
    server.should_exit = True
    serving.let_go()
    draining = asyncio.create_task(replies.drain(grace_s=serving.shutdown_grace_s))
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await replies.drain(grace_s=0)
    await draining
    hurrying.cancel()
    await asyncio.wait({running}, timeout=LAST_WORDS_S)
    # Everything is settled by now; whoever still holds a connection open has had time to read the end.
    server.force_exit = True
    await running


@contextlib.contextmanager
def _signals(told: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.signal(name, lambda *_: loop.call_soon_threadsafe(told)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
