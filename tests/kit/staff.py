"""Members of the staff for tests, and what they leave in the audit trail."""

from __future__ import annotations

import httpx

from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.ids import UserId
from tests.kit.http import Api
from tests.kit.support import PASSWORD, World


async def member(here: World, role: UserRole = UserRole.ADMIN, name: str = "root") -> Principal:
    """Return a new member of the staff, or a person with the role of a user."""
    await here.use_cases.accounts.register(
        Registration(username=name, email=f"{name}@example.org", password=PASSWORD, role=role)
    )
    return Principal.of((await here.use_cases.administration.show_user.unchecked(name)).user)


async def id_of(here: World, login: str) -> UserId:
    """Return the id of a user."""
    return (await here.use_cases.administration.show_user.unchecked(login)).user.id


async def trail(here: World, *actions: AuditAction) -> list[AuditRecord]:
    """Return the records of these actions, or of all, oldest first."""
    records = await here.store.read(lambda snapshot: snapshot.audit_trail.newest(AuditFilter(), after=None, limit=999))
    return [record for record in reversed(records) if not actions or record.action in actions]


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
