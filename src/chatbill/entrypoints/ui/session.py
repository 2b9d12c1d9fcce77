"""The session of the browser: a cookie that scripts cannot read, and the routes that set and clear it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignedIn, SignIn
from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import (
    ChatbillError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.parameters import MAX_LINE_CHARS
from chatbill.entrypoints.web.texts import render

COOKIE = "chatbill_session"
STATUS: Mapping[type[ChatbillError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
}


def token_of(scope: Scope) -> str:
    """Return the access token of the cookie, or "" if there is none."""
    return HTTPConnection(scope).cookies.get(COOKIE, "")


def session_routes(app: FastAPI, use_cases: UseCases, sign_in: SignIn) -> None:
    """Add the routes. `sign_in` makes an access token that is valid for the whole session."""

    async def start(request: Request) -> Response:
        try:
            login, password = await text_fields(request, "login", "password")
            signed_in = await sign_in(Credentials(login=login, password=password, address=_address(request)))
        except ChatbillError as error:
            return error_response(error)
        return _signed_in(request, signed_in)

    async def register(request: Request) -> Response:
        try:
            username, email, password = await text_fields(request, "username", "email", "password")
            address = _address(request)
            wanted = Registration(username=username, email=email, password=password, address=address)
            account = await use_cases.accounts.register(wanted)
            signed_in = await sign_in(Credentials(login=account.username, password=password, address=address))
        except ChatbillError as error:
            return error_response(error)
        return _signed_in(request, signed_in)

    async def end(request: Request) -> Response:
        # The cookie is deleted even if the session has ended already.
        with suppress(Unauthenticated):
            await use_cases.accounts.sign_out(await use_cases.accounts.authenticate(token_of(request.scope)))
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(
            COOKIE, path=_cookie_path(request), httponly=True, samesite="strict", secure=_is_secure(request)
        )
        return response

    app.add_api_route("/web/session", start, methods=["POST"])
    app.add_api_route("/web/session", end, methods=["DELETE"])
    app.add_api_route("/web/registration", register, methods=["POST"])


def error_response(error: ChatbillError) -> Response:
    """Return an error in the format of the forms, with a message for the form and one for each field."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_GATEWAY)
    errors = error.errors if isinstance(error, InvalidRequest) else ()
    body = {
        "code": error.code,
        "detail": "Look at the marked fields." if errors else render(error.description),
        "errors": [{"field": fault.field, "message": render(fault.description)} for fault in errors],
    }
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimited) else None
    return JSONResponse(body, status, headers=headers)


def _signed_in(request: Request, signed_in: SignedIn) -> Response:
    response = JSONResponse({"username": signed_in.principal.username})
    response.set_cookie(
        COOKIE,
        signed_in.access_token,
        max_age=signed_in.expires_in_s,
        path=_cookie_path(request),
        httponly=True,
        samesite="strict",
        secure=_is_secure(request),
    )
    return response


async def text_fields(request: Request, *fields: str) -> list[str]:
    """Return these text fields of a JSON body, each within the bound of the API. Raises `InvalidRequest`."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise InvalidRequest.of("body", "not_json_body") from None
    if not isinstance(body, dict) or not all(isinstance(body.get(field), str) for field in fields):
        raise InvalidRequest.of("body", "not_an_object", fields=", ".join(fields))
    # Names are normalized before the domain checks them, which takes the square of their length.
    if too_long := [field for field in fields if len(body[field]) > MAX_LINE_CHARS]:
        raise InvalidRequest.of(too_long[0], "too_long", max=MAX_LINE_CHARS)
    return [body[field] for field in fields]


def _address(request: Request) -> str:
    # Addresses are counted as in the API, so that both share one limit.
    return ClientAddresses().of(cast("Any", request.scope))


def _cookie_path(request: Request) -> str:
    return f"{request.scope.get('root_path', '')}/"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
