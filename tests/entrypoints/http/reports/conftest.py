"""Clients of members of the staff."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from chatbill.application.accounts.register import Registration
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api
from tests.kit.support import PASSWORD

Staff = Callable[[UserRole], Awaitable[httpx.AsyncClient]]


@pytest.fixture
def staff(service: Api) -> Staff:
    """Return what makes a member of the staff with this role, and returns their client."""

    async def member(role: UserRole) -> httpx.AsyncClient:
        name = f"the-{role.value}"
        registration = Registration(username=name, email=f"{name}@example.org", password=PASSWORD, role=role)
        await service.world.use_cases.accounts.register(registration)
        client = service.client()
        signed_in = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        return client

    return member


@pytest.fixture
async def finance(staff: Staff) -> httpx.AsyncClient:
    """Return a client of a member of the staff who may read use, money and people."""
    return await staff(UserRole.FINANCE)
