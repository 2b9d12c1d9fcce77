"""Who is asking: the bearer token of a request becomes a principal before anything else is looked at."""

from __future__ import annotations

from typing import Any

import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from chatbill.application.principal import Principal
from chatbill.application.use_cases.authenticate import Authenticate
from chatbill.domain.errors import Unauthenticated
from chatbill.entrypoints.http.bodies import JsonRequest

SCHEME = "bearer"


def bearer_guard(authenticate: Authenticate) -> Guard:
    """A guard that refuses whoever sends no good access token; the others are known as `request.user`."""

    # A function, not an object: the framework copies guards in depth, and with one the store behind it.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        principal = await authenticate(bearer_token(connection.headers.getall("authorization", [])))
        connection.scope["user"] = principal
        structlog.contextvars.bind_contextvars(user_id=principal.user_id)

    return guard


def bearer_token(headers: list[str]) -> str:
    """The token of the one `Authorization: Bearer` header there must be (RFC 6750, section 2.1)."""
    if len(headers) != 1:
        raise Unauthenticated
    scheme, _, token = headers[0].strip().partition(" ")
    token = token.strip()
    if scheme.lower() != SCHEME or not token:
        raise Unauthenticated
    return token


def provide_principal(request: JsonRequest) -> Principal:
    """The principal that the guard found."""
    return request.user
