"""Every use case over a given store, with the machine's clock and ids that no other process makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chatbill.adapters.system import SystemClock, Uuid7Ids
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.assembly import UseCases, assemble
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from tests.kit.support import PASSWORD, world

PLENTY = 1_000_000
NEW_ID = Uuid7Ids()


def tomorrow() -> datetime:
    """A clock that is a day ahead: by it, every hold is past its time."""
    return SystemClock()() + timedelta(days=1)


def in_two_months() -> datetime:
    """A clock that is two months ahead: by it, every session has ended long ago."""
    return SystemClock()() + timedelta(days=60)


def service(store: Store, *, clock: Clock | None = None, **options: Any) -> UseCases:
    """The use cases, as tests have them, but in real time."""
    made = world(store=store, **options)
    return assemble(replace(made.ports, clock=clock or SystemClock(), new_id=NEW_ID), made.policy)


async def person(use_cases: UseCases, name: str, role: UserRole = UserRole.USER) -> Principal:
    """Somebody who registered and signed in."""
    registration = Registration(username=name, email=f"{name}@example.org", password=PASSWORD, role=role)
    await use_cases.accounts.register(registration)
    return (await use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD))).principal
