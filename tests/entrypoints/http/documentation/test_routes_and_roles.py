"""The table of routes and roles on the page about security, compared with the API and tried on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.routes import HTTPRoute

from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api
from tests.kit.staff import member
from tests.kit.support import PASSWORD

STAFF = ("/admin/", "/monitoring/", "/performance/")
PAGE = Path(__file__).parents[4] / "docs" / "security.md"
CALLERS = ("nobody", "an API key", *UserRole)


def documented() -> Iterator[tuple[str, str, str]]:
    """Yield the method, the path and the callers of each route of the table."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| `[A-Z]+ /", line):
            _, routes, callers, _ = line.split("|")
            for method, path in re.findall(r"`(\w+) (/\S*)`", routes):
                yield method.lower(), path, callers.strip()


def routes_of(service: Api) -> set[tuple[str, str]]:
    """Return the method and the path of every route of the application."""
    routes = [route for route in service.app.routes if isinstance(route, HTTPRoute)]
    found = {(method.lower(), re.sub(r":\w+}", "}", route.path)) for route in routes for method in route.methods}
    return {(method, path) for method, path in found if method != "options" and path != "/"}


async def client_of(service: Api, caller: str) -> httpx.AsyncClient:
    """Return a client that calls as this caller."""
    client = service.client(timeout=10)
    if caller == "nobody":
        return client
    # The owner of the key is an administrator, whose permissions it must not have.
    role = UserRole.ADMIN if caller == "an API key" else UserRole(caller)
    await member(service.world, role, "caller")
    signed_in = await client.post("/auth/login", json={"username": "caller", "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    if caller == "an API key":
        body = {"name": "all", "scopes": [scope.value for scope in Scope]}
        client.headers["Authorization"] = f"Bearer {(await client.post('/auth/api-keys', json=body)).json()['key']}"
    return client


def expected(who: str, caller: str) -> str:
    """Return the class of answer that a caller must get, by the words of the table."""
    if who == "any client":
        return "answered"
    if who.startswith(("a program with this token", "a doctor with the signing key")):
        return "answered"  # that there is no such route, as this service has no token
    if caller == "nobody":
        return "unauthenticated"
    if caller == "an API key":
        return "answered" if "; an API key with the scope" in who else "forbidden"
    permission = re.fullmatch(r"staff with the permission `(\w+)`", who)
    if permission is None:
        assert who.startswith("a person"), who
        return "answered"
    return "answered" if Permission(permission[1]) in permissions_of(UserRole(caller)) else "forbidden"


def class_of(answer: httpx.Response) -> str:
    return {401: "unauthenticated", 403: "forbidden"}.get(answer.status_code, "answered")


async def test_the_page_about_security_names_every_route_once_with_its_callers(service: Api) -> None:
    described = (await service.client().get("/docs/openapi.json")).json()["paths"]
    callers = {(method, path): who for method, path, who in documented()}
    assert len(callers) == len(list(documented()))
    routes = {(method, path) for path, operations in described.items() for method in operations}
    assert routes <= set(callers), f"not in the table: {sorted(routes - set(callers))}"
    assert routes_of(service) <= set(callers), f"not in the table: {sorted(routes_of(service) - set(callers))}"
    for path, operations in described.items():
        for method, operation in operations.items():
            who = callers[(method, path)]
            assert (who == "any client") == ("security" not in operation), path
            assert who.startswith("staff with the permission") == path.startswith(STAFF), path


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_route_answers_each_caller_as_the_table_says(service: Api, caller: str) -> None:
    """Bodies and ids are not valid, so that nothing is changed: who may call is decided before them."""
    client = await client_of(service, caller)
    found, wanted = {}, {}
    # Signing out comes last.
    for method, path, who in sorted(documented(), key=lambda route: route[1] == "/auth/logout"):
        address = re.sub(r"{\w+}", "nothing", path)
        body: dict[str, object] | None = {} if method in {"post", "patch"} else None
        answer = await client.request(method.upper(), address, json=body)
        assert answer.status_code < 500, (method, path, answer.text)
        found[method, path], wanted[method, path] = class_of(answer), expected(who, caller)
    assert found == wanted
