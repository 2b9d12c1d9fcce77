"""Gives every request a request id, safe headers, a line in the log, and an answer to any error."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import structlog
from litestar.enums import ScopeType
from litestar.serialization import encode_json
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from chatbill.application.ports.metrics import Metrics, NoMetrics
from chatbill.application.shared.origin import Origin, coming_from
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.problem_kinds import Problem
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, ErrorFormat, UnsupportedMediaType, problem_of
from chatbill.entrypoints.web.request_facts import UNMATCHED, RequestFacts, noting_facts, route_of
from chatbill.entrypoints.web.request_ids import HEADER, assign_request_id

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Set on every response that does not set them itself."""

MAX_LOGGED_PATH: Final = 200
MAX_ENCODING_CHARS: Final = 50

_log = logging.getLogger(__name__)
_REQUEST_ID: Final = HEADER.lower().encode()
_DEFAULTS: Final = {name.lower().encode(): value.encode() for name, value in HEADERS.items()}
_ADDRESSES: Final = ClientAddresses()
_NO_METRICS: Final = NoMetrics()


class Envelope:
    """ASGI middleware around a whole application, its router and its error handlers included.

    Requests whose path begins with one of `quiet_paths` are logged at level DEBUG. `errors` is how an error is written
    that the application itself did not answer. `metrics` count the requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        errors: ErrorFormat = PROBLEM_DETAILS,
        quiet_paths: tuple[str, ...] = (),
        metrics: Metrics = _NO_METRICS,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._errors = errors
        self._quiet_paths = quiet_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap an HTTP request; pass a websocket on unchanged."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        request_id = assign_request_id(scope)
        # Proxies are resolved before, so the peer is the client.
        origin = Origin(address=_ADDRESSES.of(scope), request_id=request_id)
        started, path = time.perf_counter(), scope["path"]
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            coming_from(origin),
            noting_facts() as facts,
        ):
            try:
                await self._answer(scope, receive, send, request_id, facts)
            finally:
                self._log(scope, path, origin, facts, time.perf_counter() - started)
                structlog.contextvars.unbind_contextvars("user_id", "api_key_id")

    async def _answer(
        self, scope: HTTPScope, receive: Receive, send: Send, request_id: str, facts: RequestFacts
    ) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # It may be a member of an enumeration, which a console would show by name.
                facts.status = int(message["status"])
                _add_headers(message, request_id)
            await send(message)

        try:
            if encoding := _encoding_of_body(scope):
                described = Description.of("encoded_body", encoding=encoding)
                problem = problem_of(UnsupportedMediaType(description=described))
                await self._send(send_with_headers, problem, request_id)
            else:
                await self._app(scope, receive, send_with_headers)
        except Exception:
            _log.exception("request_failed", extra={"route": route_of(scope)})
            if facts.status:
                # A part of the answer was sent: a broken connection tells the client that it is incomplete.
                facts.status = 500
                raise
            await self._send(send_with_headers, problem_of(RuntimeError()), request_id)

    def _log(self, scope: HTTPScope, path: str, origin: Origin, facts: RequestFacts, seconds: float) -> None:
        route = route_of(scope)
        entry = {
            "method": scope["method"],
            "route": route,
            "status": facts.status,
            "ms": round(seconds * 1_000),
            "address": origin.address,
            "user_id": _user_id(scope),
            **facts.reply,
        }
        if route == UNMATCHED:
            entry["path"] = path[:MAX_LOGGED_PATH]
        self._metrics.request_answered(method=scope["method"], route=route, status=facts.status, seconds=seconds)
        level = logging.DEBUG if route.startswith(self._quiet_paths) else logging.INFO
        _log.log(level, "request", extra=entry)

    async def _send(self, send: Send, problem: Problem, request_id: str) -> None:
        body = encode_json(self._errors.body(problem, request_id))
        headers = [
            (b"content-type", self._errors.media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": self._errors.status(problem.status), "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _encoding_of_body(scope: HTTPScope) -> str:
    """Return how the body is encoded; "" if it is not, or if there is no body."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip()[:MAX_ENCODING_CHARS]
    return encoding if has_body and encoding.lower() != "identity" else ""


def _add_headers(message: Any, request_id: str) -> None:
    ours = _DEFAULTS | {_REQUEST_ID: request_id.encode()}
    sent = [(name.lower(), value) for name, value in message.get("headers", ())]
    for name, _ in sent:
        if name != _REQUEST_ID:
            ours.pop(name, None)
    message["headers"] = [*(pair for pair in sent if pair[0] != _REQUEST_ID), *ours.items()]


def _user_id(scope: Any) -> str | None:
    user = scope.get("user")
    return user.user_id if isinstance(user, Principal) else None
