"""What the benchmarks of the stores share: people who are charged through the store, and the report of ratios.

A charge is what a message costs the store: accept (hold, record) and settle (capture, ledger entry, reply), two durable
transactions. The model is left out.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from chatbill.adapters.system import SystemClock, Uuid7Ids
from chatbill.application.accounts.spending_caps import Payer
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.billing.postings import keep_posting
from chatbill.application.chat.acceptance import accept
from chatbill.application.chat.messages import Message
from chatbill.application.chat.settlement import Ending, PendingInteraction, record_end, settle
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ConversationId, EntryId, HoldId, InteractionId, ModelId, UserId, WalletId

PROMPT = "What is the capital of France? Answer in one sentence."
ENDING = Ending(
    outcome=Outcome.COMPLETED,
    reply="The capital of France is Paris.",
    usage=Usage(prompt_tokens=12, completion_tokens=7),
)
new_id = Uuid7Ids()


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a wallet and a conversation."""

    store: Store
    principal: Principal
    talk: ConversationId

    @staticmethod
    async def register(store: Store, name: str) -> Person:
        """Add a person with enough credits for the benchmark."""
        now = datetime.now(UTC)
        user_id = UserId(new_id())
        wallet = Wallet(id=WalletId(new_id()), owner=Owner(USER, user_id))
        user = User(
            id=user_id,
            username=name,
            email=f"{name}@example.org",
            password_hash=PROMPT,
            role=UserRole.USER,
            wallet_id=wallet.id,
            created_at=now,
        )
        talk = Conversation(id=ConversationId(new_id()), user_id=user.id, title="Talk", created_at=now, updated_at=now)
        cause = Cause(description=Description.of("welcome_credits"))
        posting = wallet.grant(10**9, entry_id=EntryId(new_id()), at=now, cause=cause)

        def work(tx: Transaction) -> None:
            tx.wallets.add(wallet)
            tx.users.add(user)
            keep_posting(tx, posting)
            tx.conversations.add(talk)

        await store.write(work)
        return Person(store, Principal.of(user), talk.id)

    async def charge(self) -> None:
        """Charge for one message, without the model."""
        asked = self._asked()
        work = await self.store.write(lambda tx: self._accepted(tx, asked))
        settled = await settle(self.store, work, ENDING, at=datetime.now(UTC), entry_id=EntryId(new_id()))
        assert settled.credits_charged == 1

    async def charge_many(self, count: int) -> None:
        """Charge `count` times in one transaction, only to fill a database."""

        def work(tx: Transaction) -> None:
            for _ in range(count):
                held = self._accepted(tx, self._asked())
                record_end(tx, held, ENDING, at=datetime.now(UTC), entry_id=EntryId(new_id()))

        await self.store.write(work)

    def _asked(self) -> Interaction:
        return Interaction(
            id=InteractionId(new_id()),
            conversation_id=self.talk,
            user_id=self.principal.user_id,
            wallet_id=self.principal.wallet_id,
            hold_id=HoldId(new_id()),
            model=ModelId("demo-mini"),
            price=Price(per_reply=1),
            held=1,
            prompt=PROMPT,
            created_at=datetime.now(UTC),
        )

    def _accepted(self, tx: Transaction, asked: Interaction) -> PendingInteraction:
        expires_at, payer = asked.created_at + timedelta(seconds=60), Payer.of(self.principal)
        message = Message(model=asked.model, text=asked.prompt, conversation_id=asked.conversation_id)
        work = accept(tx, asked, payer, message, expires_at=expires_at)
        assert isinstance(work, PendingInteraction)
        return work


async def charges_per_second(callers: Iterable[Person], seconds: float) -> float:
    """Return the rate when each caller is charged again as soon as the last charge is done."""
    until, done = time.perf_counter() + seconds, 0

    async def keep_charging(caller: Person) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await caller.charge()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*map(keep_charging, callers))
    return done / (time.perf_counter() - started)


async def compare(
    label: str,
    measured: Callable[[], Awaitable[float]],
    reference: Callable[[], Awaitable[float]],
    *,
    rounds: int,
    units: tuple[str, str],
    at_least: float,
) -> None:
    """Alternate, so that a slow phase of the machine affects both; print the medians and that of the ratios."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        turns = [(theirs, reference), (ours, measured)]
        for figures, run in turns if number % 2 else reversed(turns):
            figures.append(await run())
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(
        f"{label:<14} {median(ours):8.0f} {units[0]} {median(theirs):8.0f} {units[1]}   ratio {spread(ratios)},"
        f" wanted {at_least:g} at least"
    )


def spread(figures: Sequence[float]) -> str:
    """Return the median and the range, such as "0.52 (0.49 to 0.55)"."""
    return f"{median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"


def machine() -> str:
    """Describe the machine that the figures come from."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


async def prove_the_books(store: Store) -> None:
    """Verify the ledger after the measurement."""
    verify, differences = VerifyLedger(store=store, clock=SystemClock(), sweep_allowance_s=3_600), list[Difference]()
    started = time.perf_counter()
    verdict = await verify(differences.append)
    assert not differences
    print(f"the ledger verifies: {verdict.tally.charges} charges in {time.perf_counter() - started:.1f} s")
