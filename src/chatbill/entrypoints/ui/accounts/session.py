"""The routes by which a browser signs in and out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chatbill.application.accounts.assembly import AccountUseCases
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignIn
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.entrypoints.ui.shared.cookies import delete_cookie, set_cookie, token_of
from chatbill.entrypoints.ui.shared.forms import address_of_client, text_fields, unless_left
from chatbill.entrypoints.ui.shared.public import add_public
from chatbill.entrypoints.ui.shared.speech import language_for


def session_routes(app: FastAPI, use_cases: UseCases, sign_in: SignIn) -> None:
    """Add the routes. `sign_in` makes an access token that is valid for the whole session."""
    accounts, sessions = use_cases.accounts, _Sessions(use_cases.accounts, sign_in)

    async def start(request: Request) -> Response:
        login, password, code = await text_fields(request, "login", "password", optional=("code",))
        return await sessions.open(request, login, password, code)

    async def register(request: Request) -> Response:
        username, email, password, zone = await text_fields(
            request, "username", "email", "password", optional=("time_zone",)
        )
        wanted = Registration(
            username=username,
            email=email,
            password=password,
            address=address_of_client(request),
            locale=language_for(request).tag,
            time_zone=zone,
        )
        account = await unless_left(request, accounts.register(wanted))
        return await sessions.open(request, account.username, password)

    async def forget_password(request: Request) -> Response:
        (email,) = await text_fields(request, "email")
        await accounts.forget_password(email, address_of_client(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def end(request: Request) -> Response:
        # The cookie is deleted even if the session has ended already.
        await sessions.leave(request, accounts.sign_out)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        delete_cookie(request, response)
        return response

    add_public(app, "POST", "/web/session", start)
    add_public(app, "DELETE", "/web/session", end)
    add_public(app, "POST", "/web/registration", register)
    add_public(app, "POST", "/web/forgotten-password", forget_password)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Begins and ends the session of a browser."""

    accounts: AccountUseCases
    sign_in: SignIn

    async def open(self, request: Request, login: str, password: str, code: str = "") -> Response:
        client = request.headers.get("user-agent", "")
        credentials = Credentials(
            login=login, password=password, code=code, address=address_of_client(request), client=client
        )
        signed_in = await unless_left(request, self.sign_in(credentials))
        # The cookie of the session before is overwritten, so nothing else would end it.
        await self.leave(request, self.accounts.web_replace)
        response = JSONResponse({"username": signed_in.principal.username})
        set_cookie(request, response, signed_in)
        return response

    async def leave(self, request: Request, sign_out: SignOut) -> None:
        with suppress(Unauthenticated):
            await sign_out(await self.accounts.web_authenticate(token_of(request.scope)))
