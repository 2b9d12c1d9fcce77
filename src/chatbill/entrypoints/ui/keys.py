"""The API keys of whoever is signed in, for the page's own script.

They are no business of Gradio's: it keeps what a component shows in the server's memory, where no secret may stay.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.principal import Principal
from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import ChatbillError, InvalidRequest, NotFound
from chatbill.domain.shared.ids import ApiKeyId
from chatbill.entrypoints.ui.session import problem, text_fields, token_of
from chatbill.entrypoints.ui.view import first_model
from chatbill.entrypoints.web.api_keys import ApiKeyView, IssuedKeyView
from chatbill.entrypoints.web.parameters import could_be_id

PATH = "/web/api-keys"
MAX_CAP_DIGITS = 18


def key_routes(app: FastAPI, use_cases: UseCases) -> None:
    """Add the routes. Each acts for the person of the cookie, and answers errors as the forms read them."""

    async def person(request: Request) -> Principal:
        return await use_cases.authenticate(token_of(request.scope))

    async def show(request: Request) -> Response:
        try:
            states = await use_cases.list_api_keys(await person(request))
        except ChatbillError as error:
            return problem(error)
        keys = [ApiKeyView.of(state) for state in states]
        return JSONResponse(jsonable_encoder({"keys": keys, "model": first_model(use_cases.list_models())}))

    async def make(request: Request) -> Response:
        try:
            principal = await person(request)
            name, cap = await text_fields(request, "name", "monthly_cap")
            issued = await use_cases.create_api_key(principal, NewApiKey(name=name, monthly_cap=cap_of(cap)))
        except ChatbillError as error:
            return problem(error)
        return JSONResponse(jsonable_encoder(IssuedKeyView.issued(issued)), HTTPStatus.CREATED)

    async def revoke(request: Request, key_id: str) -> Response:
        try:
            principal = await person(request)
            if not could_be_id(key_id):
                raise NotFound("This API key")
            await use_cases.revoke_api_key(principal, ApiKeyId(key_id))
        except ChatbillError as error:
            return problem(error)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    app.add_api_route(PATH, show, methods=["GET"])
    app.add_api_route(PATH, make, methods=["POST"])
    app.add_api_route(PATH + "/{key_id}", revoke, methods=["DELETE"])


def cap_of(text: str) -> int | None:
    """A monthly cap as typed, in credits; nothing is no cap. Raises `InvalidRequest`."""
    digits = text.strip()
    if not digits:
        return None
    # Ten thousand is typed in many ways; one that could mean something else must not become a cap.
    if not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_CAP_DIGITS:
        raise InvalidRequest.of("monthly_cap", "must be a whole number of credits in plain digits, or empty")
    return int(digits)
