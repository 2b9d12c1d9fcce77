"""Members of the staff for tests, and what they leave in the audit trail."""

from __future__ import annotations

from chatbill.application.accounts.register import Registration
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.ids import UserId
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
