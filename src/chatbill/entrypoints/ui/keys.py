"""Routes for the API keys of the user, called by the script of the page.

Gradio is not used here: it keeps the values of components in memory, where no secret may stay.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError, InvalidRequest, NotFound
from chatbill.domain.shared.ids import ApiKeyId
from chatbill.entrypoints.ui.cookies import token_of
from chatbill.entrypoints.ui.session import error_response, text_fields, unless_left
from chatbill.entrypoints.ui.view import first_model
from chatbill.entrypoints.web.api_keys import ApiKeyView, IssuedKeyView
from chatbill.entrypoints.web.parameters import could_be_id

PATH = "/web/api-keys"
MAX_CAP_DIGITS = 18


def key_routes(app: FastAPI, use_cases: UseCases) -> None:
    """Add the routes. Each acts for the user of the cookie, and answers errors in the format of the forms."""

    async def authenticated(request: Request) -> Principal:
        return await use_cases.accounts.web_authenticate(token_of(request.scope))

    async def show(request: Request) -> Response:
        try:
            states = await use_cases.accounts.list_api_keys(await authenticated(request))
        except ChatbillError as error:
            return error_response(error)
        keys = [ApiKeyView.of(state) for state in states]
        return JSONResponse(jsonable_encoder({"keys": keys, "model": first_model(use_cases.chat.list_models())}))

    async def make(request: Request) -> Response:
        try:
            principal = await authenticated(request)
            name, cap, scopes, password = await text_fields(request, "name", "monthly_cap", "scopes", "password")
            order = NewApiKey(name=name, scopes=scopes.split(), password=password, monthly_cap=cap_of(cap))
            issued = await unless_left(request, use_cases.accounts.create_api_key(principal, order))
        except ChatbillError as error:
            return error_response(error)
        return JSONResponse(jsonable_encoder(IssuedKeyView.issued(issued)), HTTPStatus.CREATED)

    async def revoke(request: Request, key_id: str) -> Response:
        try:
            principal = await authenticated(request)
            if not could_be_id(key_id):
                raise NotFound("api_key")
            await use_cases.accounts.revoke_api_key(principal, ApiKeyId(key_id))
        except ChatbillError as error:
            return error_response(error)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    app.add_api_route(PATH, show, methods=["GET"])
    app.add_api_route(PATH, make, methods=["POST"])
    app.add_api_route(PATH + "/{key_id}", revoke, methods=["DELETE"])


def cap_of(text: str) -> int | None:
    """Return the monthly cap that was typed, in credits; None for empty text. Raises `InvalidRequest`."""
    digits = text.strip()
    if not digits:
        return None
    # Only plain digits are accepted, because 10.000 and 10,000 mean different amounts in different countries.
    if not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_CAP_DIGITS:
        raise InvalidRequest.of("monthly_cap", "not_plain_digits")
    return int(digits)
