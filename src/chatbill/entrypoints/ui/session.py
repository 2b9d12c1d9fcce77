"""The routes by which a browser signs in and out."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar, cast

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignIn
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import (
    ChatbillError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from chatbill.entrypoints.ui.cookies import delete_cookie, set_cookie, token_of
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.disconnects import while_connected
from chatbill.entrypoints.web.parameters import MAX_LINE_CHARS
from chatbill.entrypoints.web.problems import ClientLeft
from chatbill.entrypoints.web.texts import render

T = TypeVar("T")

STATUS: Mapping[type[ChatbillError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
}


def session_routes(app: FastAPI, use_cases: UseCases, sign_in: SignIn) -> None:
    """Add the routes. `sign_in` makes an access token that is valid for the whole session."""
    accounts = use_cases.accounts

    async def start(request: Request) -> Response:
        try:
            login, password, code = await text_fields(request, "login", "password", optional=("code",))
            return await open_session(request, login, password, code)
        except ChatbillError as error:
            return error_response(error)

    async def register(request: Request) -> Response:
        try:
            username, email, password = await text_fields(request, "username", "email", "password")
            address = address_of_client(request)
            wanted = Registration(username=username, email=email, password=password, address=address)
            account = await unless_left(request, accounts.register(wanted))
            return await open_session(request, account.username, password)
        except ChatbillError as error:
            return error_response(error)

    async def end(request: Request) -> Response:
        # The cookie is deleted even if the session has ended already.
        await leave(request, accounts.sign_out)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        delete_cookie(request, response)
        return response

    async def open_session(request: Request, login: str, password: str, code: str = "") -> Response:
        client = request.headers.get("user-agent", "")
        credentials = Credentials(
            login=login, password=password, code=code, address=address_of_client(request), client=client
        )
        signed_in = await unless_left(request, sign_in(credentials))
        # The cookie of the session before is overwritten, so nothing else would end it.
        await leave(request, accounts.web_replace)
        response = JSONResponse({"username": signed_in.principal.username})
        set_cookie(request, response, signed_in)
        return response

    async def leave(request: Request, sign_out: SignOut) -> None:
        with suppress(Unauthenticated):
            await sign_out(await accounts.web_authenticate(token_of(request.scope)))

    app.add_api_route("/web/session", start, methods=["POST"])
    app.add_api_route("/web/session", end, methods=["DELETE"])
    app.add_api_route("/web/registration", register, methods=["POST"])


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work, which is cancelled when the browser disconnects. Raises `ClientLeft` then."""
    return await while_connected(cast("Any", request.receive), work)


def error_response(error: ChatbillError) -> Response:
    """Return an error in the format of the forms, with a message for the form and one for each field."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_GATEWAY)
    errors = error.errors if isinstance(error, InvalidRequest) else ()
    body = {
        "code": error.code,
        "detail": "Look at the marked fields." if errors else render(error.description),
        "errors": [{"field": fault.field, "message": render(fault.description)} for fault in errors],
    }
    headers = None if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(body, status, headers=headers)


async def text_fields(request: Request, *fields: str, optional: tuple[str, ...] = ()) -> list[str]:
    """Return these text fields of a JSON body, each within the bound of the API. Raises `InvalidRequest`.

    Those that are `optional` come after them, and are empty where they are missing.
    """
    try:
        body = json.loads(await request.body())
    except ClientDisconnect:
        raise ClientLeft from None
    except (ValueError, RecursionError):
        raise InvalidRequest.of("body", "not_json_body") from None
    if isinstance(body, dict):
        body, fields = dict.fromkeys(optional, "") | body, (*fields, *optional)
    if not isinstance(body, dict) or not all(isinstance(body.get(field), str) for field in fields):
        raise InvalidRequest.of("body", "not_an_object", fields=", ".join(fields))
    # Names are normalized before the domain checks them, which takes the square of their length.
    if too_long := [field for field in fields if len(body[field]) > MAX_LINE_CHARS]:
        raise InvalidRequest.of(too_long[0], "too_long", max=MAX_LINE_CHARS)
    return [body[field] for field in fields]


def address_of_client(request: Request) -> str:
    """Return the address by which limits count the client, the same as in the API, so that both share one limit."""
    return ClientAddresses().of(cast("Any", request.scope))
