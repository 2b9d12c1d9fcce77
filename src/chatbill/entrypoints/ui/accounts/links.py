"""The pages to which one-time links lead, and the routes to which they send their forms."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.assembly import UseCases
from chatbill.entrypoints.ui.shared.forms import address_of_client, text_fields, unless_left
from chatbill.entrypoints.ui.shared.public import add_public
from chatbill.entrypoints.ui.shell.config import WebConfig
from chatbill.entrypoints.ui.shell.pages import link_page
from chatbill.entrypoints.web.password_links import PATH, VERIFY_PATH


def link_routes(app: FastAPI, use_cases: UseCases, config: WebConfig) -> None:
    """Add the pages and their routes. The token is in the part of the address that browsers do not send."""

    async def page(request: Request) -> Response:
        return link_page("reset", request, config)

    async def verify_page(request: Request) -> Response:
        return link_page("verify", request, config)

    async def verify(request: Request) -> Response:
        (token,) = await text_fields(request, "token")
        await use_cases.accounts.verify_email(token, address_of_client(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def reset(request: Request) -> Response:
        token, password, keys = await text_fields(request, "token", "new_password", optional=("revoke_api_keys",))
        wanted = PasswordReset(
            token=token, new=password, revoke_api_keys=keys == "on", address=address_of_client(request)
        )
        await unless_left(request, use_cases.accounts.reset_password(wanted))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    add_public(app, "GET", PATH, page)
    add_public(app, "POST", PATH, reset)
    add_public(app, "GET", VERIFY_PATH, verify_page)
    add_public(app, "POST", VERIFY_PATH, verify)
