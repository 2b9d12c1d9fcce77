"""Answers a request for which there is no place."""

from __future__ import annotations

from litestar import Request
from litestar.types import Receive, Scope, Send

from chatbill.domain.shared.errors import Overloaded
from chatbill.entrypoints.web.envelope import Envelope
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, problem_of


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503 and close the connection, which has no place among those of the server."""
    await _REFUSAL(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    request: Request[object, object, object] = Request(scope, receive, send)  # type: ignore[type-var]
    response = PROBLEM_DETAILS.response(problem_of(Overloaded("too_many_connections", retry_after_s=1)), scope)
    response.headers["Connection"] = "close"
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)


_REFUSAL = Envelope(_refuse)
