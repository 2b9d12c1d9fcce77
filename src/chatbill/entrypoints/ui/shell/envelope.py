"""Gives requests to the page a request id and a line in the log, as requests to the API have."""

from __future__ import annotations

from typing import Any, cast

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbill.application.ports.metrics import Metrics
from chatbill.entrypoints.web.envelope import Envelope
from chatbill.entrypoints.web.proxies import path_below_root

FILES = ("/web/assets/", "/ui/assets/", "/ui/static/", "/ui/theme.css", "/ui/gradio_api/")


class WebEnvelope:
    """ASGI middleware that wraps pages, views and actions. The API has its own envelope; assets need none."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._wrapped: Any = Envelope(cast("Any", app), metrics=metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap requests for pages, views and actions, and pass on the others."""
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if path in {"/", "/ui"} or (path.startswith(("/ui/", "/web/")) and not path.startswith(FILES)):
            await self._wrapped(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class PackReadings(GZipMiddleware):
    """Compresses what is read. Answers to actions may hold a secret beside what was sent, so their size tells of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the answer, or pass the request on."""
        if scope["type"] == "http" and scope["method"] == "GET":
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
