"""Histories of use and money that Hypothesis makes, written to any store, and readers of its raw rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from chatbill.application.billing.postings import keep_hold, keep_posting, settle_hold
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.payments import Money, Payment
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import PAYMENT, Subject
from chatbill.domain.billing.wallets import Posting
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import (
    ConversationId,
    EntryId,
    HoldId,
    ModelId,
    PaymentId,
    UserId,
    WalletId,
)
from tests.kit.rows import add_person, api_key, interaction, payment

PEOPLE = ("alice", "bob", "carla")
MODELS = ("demo-mini", "demo-pro")
ENDS = (Outcome.COMPLETED, Outcome.STOPPED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED)
PACKAGES = ((100, 0, "4.99", "EUR"), (30, 5, "1.00", "EUR"), (70, 7, "3.33", "USD"), (5, 5, "0.10", "EUR"))
"""Credits with their bonus, the bonus, and the price; of the last, all credits are a bonus."""

Act = tuple[Any, ...]
_person = st.sampled_from(PEOPLE)
_which = st.integers(0, 9)
acts: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("grant"), _person, st.integers(1, 40)),
    st.tuples(st.just("buy"), _person, st.sampled_from(PACKAGES)),
    st.tuples(st.just("return"), _which),
    st.tuples(
        st.just("chat"),
        _person,
        st.sampled_from(MODELS),
        st.sampled_from(ENDS),
        st.integers(0, 60),
        st.booleans(),
        st.sampled_from([40, 999, 1_234_567]),
    ),
    st.tuples(st.just("refund"), _which, st.integers(1, 60)),
    st.tuples(st.just("adjust"), _person, st.integers(-80, 30).filter(bool)),
)
steps = st.sampled_from([0, 1, 7 * 60, 3_600, 20 * 3_600, 3 * 86_400])
"""Seconds between two acts."""


def busy_history(seed: int, length: int) -> list[tuple[int, Act]]:
    """A history in which much happens within days, and charges are often refunded in parts."""
    dice = Random(seed)
    made: list[tuple[int, Act]] = []
    for _ in range(length):
        name, model = dice.choice(PEOPLE), dice.choice(MODELS)
        chat = ("chat", name, model, dice.choice(ENDS[:3]), dice.randint(0, 40), dice.random() < 0.3, 40)
        refund = ("refund", dice.randint(0, 9), dice.randint(1, 25))
        adjust = ("adjust", name, dice.choice((-25, -3, 9)))
        act = dice.choice((chat, chat, chat, refund, refund, ("buy", name, dice.choice(PACKAGES)), adjust))
        made.append((dice.choice((1, 400, 3_000, 9_000)), act if dice.random() < 0.97 else ("return", 0)))
    return made


histories = st.lists(st.tuples(steps, acts), max_size=25)


@dataclass
class Writer:
    """Writes acts to a store, each at its moment; what is not possible then is left out."""

    store: Store
    now: datetime
    numbers: int = 0
    paid: list[Payment] = field(default_factory=list)
    charged: list[Interaction] = field(default_factory=list)

    async def people(self) -> None:
        def work(tx: Transaction) -> None:
            for name in PEOPLE:
                add_person(tx, name, 20)
                tx.api_keys.add(api_key(f"key-{name}", user_id=UserId(name), monthly_cap=None))

        await self.store.write(work)

    async def write(self, history: list[tuple[int, Act]]) -> None:
        for seconds, (kind, *details) in history:
            self.now += timedelta(seconds=seconds)
            self.numbers += 1
            await getattr(self, f"_{kind}")(*details)

    async def _post(self, wallet_id: str, make: Callable[[Any], Posting]) -> LedgerEntry:
        return await self.store.write(lambda tx: keep_posting(tx, make(tx.wallets.lock(WalletId(wallet_id)))))

    def _entry(self) -> dict[str, Any]:
        return {"entry_id": EntryId(f"entry-{self.numbers}"), "at": self.now}

    async def _grant(self, name: str, amount: int) -> None:
        cause = Cause(description=Description.of("welcome_credits"))
        await self._post(f"wallet-{name}", lambda wallet: wallet.grant(amount, cause=cause, **self._entry()))

    async def _adjust(self, name: str, amount: int) -> None:
        cause = Cause(description=Description.of("by_hand", reason="Sorry"), author=UserId("bob"))
        await self._post(
            f"wallet-{name}", lambda wallet: wallet.adjust(amount, max_debt=10**6, cause=cause, **self._entry())
        )

    async def _buy(self, name: str, package: tuple[int, int, str, str]) -> None:
        credits_, bonus, price, currency = package
        order = payment(
            f"payment-{self.numbers}",
            user_id=UserId(name),
            wallet_id=WalletId(f"wallet-{name}"),
            credits=credits_,
            bonus=bonus,
            price=Money(Decimal(price), currency),
            created_at=self.now,
        )

        def work(tx: Transaction) -> Payment:
            tx.payments.add(order)
            cause = Cause(description=Description.of("top_up", package="any"), subject=Subject(PAYMENT, order.id))
            wallet = tx.wallets.lock(order.wallet_id)
            entry = keep_posting(tx, wallet.top_up(credits_, cause=cause, **self._entry()))
            confirmed = order.confirmed(at=self.now, balance_after=entry.balance_after)
            tx.payments.save(confirmed)
            return confirmed

        self.paid.append(await self.store.write(work))

    async def _return(self, which: int) -> None:
        if not self.paid:
            return
        order = self.paid.pop(which % len(self.paid))

        def work(tx: Transaction) -> None:
            cause = Cause(
                description=Description.of("payment_refunded", package="any"), subject=Subject(PAYMENT, order.id)
            )
            wallet = tx.wallets.lock(order.wallet_id)
            keep_posting(tx, wallet.take_back(order.credits, cause=cause, **self._entry()))
            tx.payments.save(order.refunded(at=self.now))

        await self.store.write(work)

    async def _chat(self, name: str, model: str, outcome: Outcome, cost: int, with_key: bool, took_ms: int) -> None:
        begun = interaction(
            f"interaction-{self.numbers}",
            user_id=UserId(name),
            wallet_id=WalletId(f"wallet-{name}"),
            conversation_id=ConversationId("talk" if name == "alice" else f"talk-{name}"),
            model=ModelId(model),
            price=Price(per_reply=cost),
            held=cost,
            created_at=self.now,
            api_key_id=f"key-{name}" if with_key else None,
        )
        self.now += timedelta(milliseconds=took_ms)
        ended = await self.store.write(lambda tx: self._answered(tx, begun, outcome))
        if ended is not None and ended.credits_charged:
            self.charged.append(ended)

    def _answered(self, tx: Transaction, begun: Interaction, outcome: Outcome) -> Interaction | None:
        wallet = tx.wallets.lock(begun.wallet_id)
        if wallet.available < begun.held:
            return None
        until = begun.created_at + timedelta(hours=1)
        promise = wallet.hold(
            begun.hold_id,
            begun.held,
            subject=begun.subject,
            purpose=begun.purpose,
            at=begun.created_at,
            expires_at=until,
        )
        hold = keep_hold(tx, promise)
        tx.interactions.add(begun)
        charged = begun.held if outcome in {Outcome.COMPLETED, Outcome.STOPPED} else 0
        ended = begun.ended(
            outcome,
            at=self.now,
            reply="Well.",
            usage=Usage(prompt_tokens=self.numbers, completion_tokens=2),
            credits_charged=charged,
            balance_after=wallet.posted - charged,
        )
        tx.interactions.save(ended)
        settle_hold(tx, tx.wallets.lock(begun.wallet_id), hold, charged, **self._entry())
        return ended

    async def _refund(self, which: int, amount: int) -> None:
        if not self.charged:
            return
        of = self.charged[which % len(self.charged)]

        def work(tx: Transaction) -> None:
            wallet, hold = tx.wallets.lock(of.wallet_id), tx.holds.get(HoldId(of.hold_id))
            assert hold is not None
            assert hold.state is HoldState.CAPTURED
            if not hold.refundable:
                return
            cause = Cause(
                description=Description.of("by_hand", reason="Useless"),
                subject=hold.subject,
                hold_id=hold.id,
                author=UserId("bob"),
            )
            refund = wallet.refund(hold, min(amount, hold.refundable), cause=cause, **self._entry())
            tx.holds.save_refund(refund.hold)
            keep_posting(tx, Posting(refund.wallet, refund.entry))

        await self.store.write(work)


@dataclass(frozen=True)
class Raw:
    """All rows of a store, read by other ways than those of the reports."""

    entries: list[LedgerEntry]
    interactions: list[Interaction]
    payments: dict[str, Payment]


async def raw_rows(store: Store) -> Raw:
    def query(snapshot: Snapshot) -> Raw:
        with closing(snapshot.audit.entries()) as rows:
            entries = [row for row in rows if isinstance(row, LedgerEntry)]
        interactions = [
            each
            for name in PEOPLE
            for each in snapshot.interactions.history(UserId(name), HistoryFilter(), after=None, limit=10_000)
        ]
        ids = {
            entry.cause.subject.id for entry in entries if entry.cause.subject and entry.cause.subject.kind == PAYMENT
        }
        payments = {id_: found for id_ in ids if (found := snapshot.payments.get(PaymentId(id_)))}
        return Raw(entries, interactions, payments)

    return await store.read(query)


SPRING = datetime(2026, 3, 27, 20, tzinfo=UTC)
"""Two days before clocks in Europe are put forward."""
AUTUMN = datetime(2026, 10, 23, 20, tzinfo=UTC)
"""Two days before they are put back."""
