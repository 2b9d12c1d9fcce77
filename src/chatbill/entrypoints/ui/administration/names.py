"""The people whom the lists name, and whom their filters ask for."""

from __future__ import annotations

from collections.abc import Iterable

from chatbill.application.assembly import UseCases
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.ui.shared.visits import Visit
from chatbill.entrypoints.web.parameters import checked_text


async def names_of(use_cases: UseCases, visit: Visit, ids: Iterable[str]) -> dict[str, str]:
    """Return the names of people, for those who may see people."""
    if Permission.READ_PEOPLE not in visit.permissions:
        return {}
    return await use_cases.administration.name_users(visit.principal, ids)


async def person_asked(use_cases: UseCases, visit: Visit, found: dict[str, str], name: str) -> UserId | None:
    """Return the id of the person whose name, address or id was asked for; an unknown one as it is."""
    text = checked_text(name, found.get(name))
    if text is None or Permission.READ_PEOPLE not in visit.permissions:
        return UserId(text) if text else None
    return await use_cases.administration.name_users.find(visit.principal, text) or UserId(text)
