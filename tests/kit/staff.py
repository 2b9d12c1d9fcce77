"""Clients and principals of members of the staff."""

from __future__ import annotations

import httpx

from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api
from tests.kit.support import PASSWORD, World


async def principal_of(world: World, role: UserRole) -> Principal:
    """Somebody with this role who signed in."""
    name = f"a.{role.value}.here"
    registration = Registration(username=name, email=f"{name}@example.org", password=PASSWORD, role=role)
    await world.use_cases.accounts.register(registration)
    return (await world.use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD))).principal


async def client_of(service: Api, role: UserRole) -> httpx.AsyncClient:
    """Return a client of somebody with this role."""
    principal = await principal_of(service.world, role)
    client = service.client(timeout=10)
    signed_in = await client.post("/auth/login", json={"username": principal.username, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return client
