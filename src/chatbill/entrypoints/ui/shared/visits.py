"""Requests of signed-in people: who asks, in which language, and what they are answered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from chatbill.application.accounts.open_account import Account
from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.preferences import zone_named
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.ui.shared.answers import error_response
from chatbill.entrypoints.ui.shared.cookies import token_of
from chatbill.entrypoints.ui.shared.forms import address_of_client
from chatbill.entrypoints.ui.shared.speech import language_for
from chatbill.entrypoints.ui.shared.templates import html
from chatbill.entrypoints.web.connections import mark_signed_in
from chatbill.entrypoints.web.language import Language, speaking

VIEWS = "/web/views"
NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of a signed-in person. `account` is as it was when the request came."""

    request: Request
    principal: Principal
    account: Account
    language: Language

    @property
    def address(self) -> str:
        """Return the address by which limits count the client."""
        return address_of_client(self.request)

    @property
    def permissions(self) -> frozenset[Permission]:
        """Return what the role of this person allows."""
        return permissions_of(self.principal.role)

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the address."""
        return self.request.query_params.get(name, default)

    def path(self, name: str) -> str:
        """Return a part of the address that the route names in braces."""
        return str(self.request.path_params[name])

    def html(self, template: str, **values: Any) -> Response:
        """Return a fragment made from a template, which also sees `me`, the account, and `may`, its permissions."""
        return HTMLResponse(self.text(template, **values), headers=NO_STORE)

    def text(self, template: str, **values: Any) -> str:
        """Return the text of a fragment."""
        return html(template, me=self.account, may={each.value for each in self.permissions}, **values)


Handler = Callable[[Visit], Awaitable[Response]]


class Site:
    """The routes of the page for signed-in people.

    A view has an address below /ui/ that people see, and its fragment below /web/views/. Actions are below /web/.
    A route may need a permission of the staff, which its use case checks once more. Errors of the use cases are
    answered in the format of the forms, in the language of the person.
    """

    def __init__(self, app: FastAPI, use_cases: UseCases) -> None:
        self._app = app
        self.use_cases = use_cases
        self.addresses: list[str] = []
        self.permissions: dict[tuple[str, str], Permission | None] = {}

    def view(self, path: str, handler: Handler, permission: Permission | None = None) -> None:
        """Add a view, such as `credits` or `c/{conversation_id}`; the handler returns its fragment."""
        self.addresses.append(path)
        self._add("GET", f"{VIEWS}/{path}", handler, permission)

    def get(self, path: str, handler: Handler, permission: Permission | None = None) -> None:
        """Add a fragment or a file, such as `/web/history/rows`."""
        self._add("GET", path, handler, permission)

    def post(self, path: str, handler: Handler, permission: Permission | None = None) -> None:
        """Add an action. The access middleware has checked that a page of this site sent it."""
        self._add("POST", path, handler, permission)

    def delete(self, path: str, handler: Handler, permission: Permission | None = None) -> None:
        """Add an action that deletes something."""
        self._add("DELETE", path, handler, permission)

    def _add(self, method: str, path: str, handler: Handler, permission: Permission | None) -> None:
        self.permissions[method, path] = permission

        async def answer(request: Request) -> Response:
            try:
                visit = await visit_of(self.use_cases, request)
            except ChatbillError as error:
                return error_response(error)
            with speaking(visit.language):
                try:
                    await self.use_cases.accounts.limit_page_events(visit.principal, visit.address)
                    if permission:
                        require_permission(visit.principal, permission)
                    return await handler(visit)
                except ChatbillError as error:
                    return error_response(error)

        self._app.add_api_route(path, answer, methods=[method])


async def visit_of(use_cases: UseCases, request: Request) -> Visit:
    """Return the visit of a request. Raises `Unauthenticated` without a session."""
    principal = await use_cases.accounts.web_authenticate(token_of(request.scope))
    mark_signed_in(request.scope)
    account = await use_cases.accounts.read_account(principal)
    zone = zone_named(account.limits.time_zone)
    language = language_for(request, account.locale)
    return Visit(
        request=request,
        principal=principal,
        account=account,
        language=Language(language.tag, zone) if zone else language,
    )


def done(
    *,
    say: str = "",
    go: str | None = None,
    refresh: bool = False,
    put: Mapping[str, str] | None = None,
    reload: bool = False,
) -> Response:
    """Return the answer to an action, which the script of the page carries out.

    `say` is announced; `go` opens a view; `refresh` loads the open view again; `put` replaces the content of elements,
    named by their ids, with HTML; `reload` loads the whole page again.
    """
    answer = {"say": say, "go": go, "refresh": refresh, "put": dict(put or {}), "reload": reload}
    return JSONResponse({name: value for name, value in answer.items() if value or value == ""}, headers=NO_STORE)


def created(body: Any) -> Response:
    """Return 201 with a JSON body that is not stored."""
    return Response(json.dumps(body), HTTPStatus.CREATED, media_type="application/json", headers=NO_STORE)
