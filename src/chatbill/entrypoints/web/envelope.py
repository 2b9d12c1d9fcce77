"""What every request is wrapped in: a request id, safe headers, one line in the log, and an answer to any error."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.serialization import encode_json
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from chatbill.application.accounts.principal import Principal
from chatbill.entrypoints.web.problems import problem_of, told
from chatbill.entrypoints.web.request_ids import HEADER, give_request_id

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response that does not say otherwise."""

MAX_LOGGED_PATH: Final = 200
QUIET_PATHS: Final = ("/health",)

_log = logging.getLogger(__name__)


class Envelope:
    """ASGI middleware around the whole application, its router and its error handlers included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on; anything else is none of its business."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        request_id = give_request_id(scope)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._answer(scope, receive, send, request_id)
            finally:
                structlog.contextvars.unbind_contextvars("user_id", "api_key_id")

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
        started = time.perf_counter()
        method, raw_path = scope["method"], scope["path"]
        status = 0

        async def send_sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _seal(message, request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_sealed)
        except Exception:
            _log.exception("%s %s failed", method, scope.get("path_template", ""))
            if status:
                # Half an answer is out: only a broken connection tells the client that it is not whole.
                raise
            await _send_problem(send_sealed, scope, request_id)
        finally:
            path = str(scope.get("path_template") or raw_path)[:MAX_LOGGED_PATH]
            facts = {"method": method, "path": path, "status": status, "ms": _ms_since(started), "user_id": _who(scope)}
            _log.log(logging.DEBUG if path.startswith(QUIET_PATHS) else logging.INFO, "request", extra=facts)


def _seal(message: Message, request_id: str) -> None:
    headers = MutableScopeHeaders.from_message(message)
    headers[HEADER] = request_id
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


async def _send_problem(send: Send, scope: HTTPScope, request_id: str) -> None:
    problem = problem_of(RuntimeError())
    media_type, content = told(problem, scope, request_id)
    body = encode_json(content)
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _ms_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1_000)


def _who(scope: Any) -> str | None:
    user = scope.get("user")
    return user.user_id if isinstance(user, Principal) else None
