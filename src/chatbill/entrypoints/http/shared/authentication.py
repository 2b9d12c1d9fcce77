"""Authenticates a request by its access token or API key, before anything else of it is read."""

from __future__ import annotations

from typing import Any

import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.api_keys import looks_like_key
from chatbill.domain.accounts.scopes import require_scope
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.connections import mark_signed_in

SCHEME = "bearer"
SCOPE = "scope"
"""The option of a handler that names the scope with which an API key may call it. Without it no key may."""
PERMISSION = "permission"
"""The option of a handler that names the permission that it needs. Without it any person may call it."""


def bearer_guard(use_cases: UseCases) -> Guard:
    """Return a guard that sets `request.user`, and rejects requests without a valid access token or API key.

    An API key needs the scope that the handler names in its options, and a person the permission.
    """

    # A function, not an object: the framework makes deep copies of guards, which would include the store.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        token = bearer_token(connection.headers.getall("authorization", []))
        authenticate = use_cases.accounts.authenticate_key if looks_like_key(token) else use_cases.accounts.authenticate
        principal = await authenticate(token)
        connection.scope["user"] = principal
        mark_signed_in(connection.scope)
        structlog.contextvars.bind_contextvars(user_id=principal.user_id)
        if principal.api_key_id:
            structlog.contextvars.bind_contextvars(api_key_id=principal.api_key_id)
            require_scope(principal.scopes, handler.opt.get(SCOPE))
        if permission := handler.opt.get(PERMISSION):
            require_permission(principal, permission)

    return guard


def bearer_token(headers: list[str]) -> str:
    """Return the token of the only `Authorization: Bearer` header (RFC 6750, section 2.1)."""
    if len(headers) != 1:
        raise Unauthenticated
    scheme, _, token = headers[0].strip().partition(" ")
    token = token.strip()
    if scheme.lower() != SCHEME or not token:
        raise Unauthenticated
    return token


def provide_principal(request: JsonRequest, config: Injected[HttpConfig]) -> Principal:  # noqa: ARG001 - see `create_app`
    """Return the principal that the guard authenticated."""
    return request.user
