"""Routes for the sessions and the password of the user, called by the script of the page."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError, NotFound
from chatbill.domain.shared.ids import SessionId
from chatbill.entrypoints.ui.cookies import token_of
from chatbill.entrypoints.ui.session import error_response, text_fields, unless_left
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.sessions import SessionView


def account_routes(app: FastAPI, use_cases: UseCases) -> None:
    """Add the routes. Each acts for the user of the cookie, and answers errors in the format of the forms."""
    accounts = use_cases.accounts

    async def authenticated(request: Request) -> Principal:
        return await accounts.web_authenticate(token_of(request.scope))

    async def show_sessions(request: Request) -> Response:
        try:
            principal = await authenticated(request)
            sessions = await accounts.list_sessions(principal)
        except ChatbillError as error:
            return error_response(error)
        return JSONResponse(jsonable_encoder([SessionView.of(session, principal) for session in sessions]))

    async def end_session(request: Request, session_id: str) -> Response:
        try:
            principal = await authenticated(request)
            if not could_be_id(session_id):
                raise NotFound("session")
            await accounts.end_session(principal, SessionId(session_id))
        except ChatbillError as error:
            return error_response(error)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def change_password(request: Request) -> Response:
        try:
            principal = await authenticated(request)
            current, new, keys = await text_fields(request, "current_password", "new_password", "revoke_api_keys")
            change = PasswordChange(current=current, new=new, revoke_api_keys=keys == "on")
            await unless_left(request, accounts.change_password(principal, change))
        except ChatbillError as error:
            return error_response(error)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    app.add_api_route("/web/sessions", show_sessions, methods=["GET"])
    app.add_api_route("/web/sessions/{session_id}", end_session, methods=["DELETE"])
    app.add_api_route("/web/password", change_password, methods=["POST"])
