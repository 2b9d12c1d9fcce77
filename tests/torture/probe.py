"""Drives the path of money on SQLite and says who noticed a bug in it: the database, another guard, or the audit.

It asserts nothing, so what it tells is what is left when every test is blind.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.persistence import SqliteStore
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.assembly import UseCases
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.application.chat.settlement import Ending, PendingInteraction, settle
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import AlreadySettled, ChatbillError, InvariantViolation
from chatbill.domain.shared.ids import EntryId
from tests.kit.stores import fresh_database
from tests.kit.support import CATALOGUE, MINI
from tests.torture.books import differences, sweep
from tests.torture.service import NEW_ID, person, service, tomorrow

T = TypeVar("T")
PRICE = Price(per_reply=1, per_1k_completion_tokens=100)
MESSAGES = ("one two", "[[fail:after:1]] x", "[[tokens:3]] y", "[[oom]]", "z", "[[sleep:2]]")


class Listening:
    """A store that remembers the broken rules that its database told of, and those that the domain did."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.refusals: list[str] = []
        self.stopped: list[str] = []

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """As the store does."""
        try:
            return await self._store.write(work)
        except AlreadySettled:  # as it should be
            raise
        except InvariantViolation as error:
            below = any(
                "persistence/repositories" in frame.filename for frame in traceback.extract_tb(error.__traceback__)
            )
            (self.refusals if below else self.stopped).append(str(error))
            raise

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """As the store does."""
        return await self._store.read(query)

    async def close(self) -> None:
        """As the store does."""
        await self._store.close()


class Prober:
    """People who do what they should, and what they should not. Every error is swallowed."""

    def __init__(self, use_cases: UseCases, store: Listening) -> None:
        self.use_cases, self.store = use_cases, store

    async def run(self) -> None:
        """A little of everything."""
        self.alice = await person(self.use_cases, "alice")
        self.admin = await person(self.use_cases, "root", UserRole.ADMIN)
        await asyncio.gather(*(self.ask(MESSAGES[number % len(MESSAGES)]) for number in range(60)))
        for text, key in (("again", "key"), ("again", "key"), ("other", "key")):
            await self.ask(text, key)
        order = Order(amount=50, idempotency_key="pay")
        await asyncio.gather(*(quietly(self.use_cases.billing.place_order(self.alice, order)) for _ in range(9)))
        if end := await self.ask("[[tokens:2]] w"):
            await self.end_again(end.interaction)
        await quietly(
            self.use_cases.administration.adjust_credits(
                self.admin, self.alice.user_id, -(10**6), AdminAction(reason="error")
            )
        )
        if reply := await self.send("[[sleep:5]]"):
            await quietly(reply.abandon())
        await quietly(sweep(self.store))

    async def send(self, text: str, key: str | None = None) -> Any:
        """Send a message."""
        message = Message(model=MINI, text=text, max_tokens=5, idempotency_key=key)
        return await quietly(self.use_cases.chat.send_message(self.alice, message))

    async def ask(self, text: str, key: str | None = None) -> Any:
        """Send a message and wait for its end."""
        reply = await self.send(text, key)
        return await quietly(reply.finished()) if reply else None

    async def end_again(self, interaction: Interaction) -> None:
        """Settle what was settled, and refund more than there was."""
        hold = Hold(
            id=interaction.hold_id, wallet_id=self.alice.wallet_id, amount=interaction.held,
            created_at=interaction.created_at, expires_at=tomorrow(),
            subject=interaction.subject, purpose=interaction.purpose,
        )  # fmt: skip
        work = PendingInteraction(replace(interaction, outcome=Outcome.RUNNING), hold)
        for outcome in (Outcome.COMPLETED, Outcome.FAILED):
            ending = Ending(outcome=outcome, reply="late", usage=Usage(prompt_tokens=1, completion_tokens=9))
            await quietly(settle(self.store, work, ending, at=tomorrow(), entry_id=EntryId(NEW_ID())))
        for amount in (1, 10**6, None, None):
            await quietly(
                self.use_cases.administration.refund(self.admin, interaction.id, AdminAction(reason="sorry"), amount)
            )


async def quietly(act: Any) -> Any:
    """What it returns, or None."""
    try:
        return await act
    except ChatbillError:
        return None


async def probe(folder: Path) -> str:
    """Who noticed."""
    store = Listening(SqliteStore(fresh_database(folder)))
    catalogue = Catalogue(tuple(replace(model, price=PRICE) for model in CATALOGUE.values()))
    engine = ScriptedEngine(catalogue)
    use_cases = service(store, engine=engine, catalogue=catalogue, welcome_credits=30, deadline_s=0.3)
    await Prober(use_cases, store).run()
    audit = sorted({each.partition(":")[0] for each in await differences(store)})
    await store.close()
    if store.refusals:
        return f"refused by the store ({store.refusals[0][:60]})"
    if store.stopped:
        return f"stopped by another guard ({store.stopped[0][:60]})"
    return f"found by `ledger verify` ({', '.join(audit)})" if audit else "nothing"
