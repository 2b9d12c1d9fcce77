"""Serves metrics to Prometheus, on a port of their own or with a token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

PATH: Final = "/metrics"
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MAX_SCRAPES: Final = 8
"""Connections that are answered at once on the port of the metrics; further ones get 503."""
CLOSE_TIMEOUT_S: Final = 2.0

_HEADERS: Final = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPage:
    """All metrics as text. `refresh` reads what is only known when asked, and `render` makes the text on a thread."""

    refresh: Callable[[], Awaitable[object]]
    render: Callable[[], bytes]
    token: str | None = None

    async def text(self) -> bytes:
        """Return the present metrics."""
        await self.refresh()
        return await asyncio.to_thread(self.render)

    def accepts(self, authorization: list[str]) -> bool:
        """Return whether the only header `Authorization` has the token; takes the same time for any wrong one."""
        scheme, _, given = authorization[0].strip().partition(" ") if len(authorization) == 1 else ("", "", "")
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), (self.token or "").encode())
        return right and scheme.lower() == "bearer" and self.token is not None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - as ASGI has it
        """Answer a request on the port of the metrics, which asks for no token."""
        status, body = 200, b""
        if scope["path"] != PATH:
            status, body = 404, b"The metrics are at /metrics.\n"
        elif scope["method"] not in {"GET", "HEAD"}:
            status = 405
        else:
            body = await self.text()
        headers = [*_HEADERS, (b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@contextlib.asynccontextmanager
async def serving_metrics(page: MetricsPage, sock: socket.socket) -> AsyncIterator[None]:
    """Answer scrapes on `sock` while entered."""
    config = uvicorn.Config(
        page,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_SCRAPES,
        timeout_graceful_shutdown=int(CLOSE_TIMEOUT_S),
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[sock]), name="metrics")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait({running}, timeout=2 * CLOSE_TIMEOUT_S)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, because the service handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Install no signal handlers."""
        yield
