"""Answers requests for which there is no place, or that did not arrive as HTTP has it."""

from __future__ import annotations

import http
import logging
from typing import Any

from litestar import Request
from litestar.serialization import encode_json
from litestar.types import Receive, Scope, Send

from chatbill.domain.shared.errors import ChatbillError, Overloaded
from chatbill.entrypoints.web.envelope import HEADERS, Envelope
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, problem_of
from chatbill.entrypoints.web.request_ids import HEADER, assign_request_id, request_id_of

_log = logging.getLogger(__name__)


class RequestTimeout(ChatbillError):
    """The client did not send a whole request in time."""

    code = "request_timeout"


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503 and close the connection, which has no place among those of the server."""
    await _REFUSAL(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    request: Request[object, object, object] = Request(scope, receive, send)  # type: ignore[type-var]
    response = PROBLEM_DETAILS.response(problem_of(Overloaded("too_many_connections", retry_after_s=1)), scope)
    response.headers["Connection"] = "close"
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)


_REFUSAL = Envelope(_refuse)


def last_response(error: ChatbillError, scope: Any, address: str | None) -> bytes:
    """Return and log the answer that ends a connection whose request did not arrive as HTTP has it.

    `scope` is None if its head did not arrive.
    """
    scope = {"headers": []} if scope is None else scope
    request_id = request_id_of(scope) or assign_request_id(scope)
    problem = problem_of(error)
    body = encode_json(PROBLEM_DETAILS.body(problem, request_id))
    headers = HEADERS | {
        HEADER: request_id,
        "Content-Type": PROBLEM_DETAILS.media_type,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    facts = {"status": problem.status, "address": address, "request_id": request_id}
    _log.info("request_not_received", extra=facts)
    lines = [f"HTTP/1.1 {problem.status} {http.HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
