"""What must hold after every blow: the books agree, and whatever somebody was told is there, once."""

from __future__ import annotations

import asyncio
from collections import Counter

from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from tests.torture.client import Journal, Paid, Told
from tests.torture.service import service, tomorrow

EVERYTHING = 10_000_000
SWEEPS = 50


async def sweep(store: Store) -> int:
    """Release every hold that is pending, as the sweep does once their time is over."""
    return await service(store, clock=tomorrow).maintenance.expire_holds()


async def differences(store: Store) -> list[str]:
    """What `ledger verify` finds, a day from now: a hold that still waits is a difference too."""
    found: list[Difference] = []
    await service(store, clock=tomorrow).audit.verify_ledger(found.append)
    return [f"{each.rule}: {each.subject} {each.detail}" for each in found]


async def unkept(store: Store, journal: Journal) -> list[str]:
    """Every promise in the journal that the store does not keep."""

    def query(snapshot: Snapshot) -> list[str]:
        lost = [problem for told in journal.told.values() if (problem := _reply_problem(snapshot, told))]
        lost += [problem for paid in journal.paid.values() if (problem := _payment_problem(snapshot, paid))]
        return lost + _charged_twice(snapshot, journal)

    return await store.read(query)


async def problems(store: Store, journal: Journal) -> list[str]:
    """All of it, after a sweep. A server may be busy with the last words of a dead client, so it is swept again."""
    found = []
    for _ in range(SWEEPS):
        await sweep(store)
        found = await differences(store)
        if not any(each.startswith("expiry") for each in found):
            break
        await asyncio.sleep(0.1)
    return found + await unkept(store, journal)


def _reply_problem(snapshot: Snapshot, told: Told) -> str | None:
    interaction = snapshot.interactions.get(told.interaction_id)
    if interaction is None:
        return f"lost: {told.name} was answered, and there is no interaction"
    hold = snapshot.holds.get(interaction.hold_id)
    found = (interaction.outcome, interaction.reply, interaction.credits_charged, hold.captured if hold else None)
    if found != (Outcome.COMPLETED, told.reply, told.charged, told.charged):
        return f"lost: {told.name} was answered for {told.charged} credits, and what is stored is {found}"
    return None


def _payment_problem(snapshot: Snapshot, paid: Paid) -> str | None:
    payment = snapshot.payments.get(paid.payment_id)
    if payment is None or payment.balance_after is None or payment.credits != paid.credits:
        return f"lost: {paid.name} was paid, and what is stored is {payment}"
    return None


def _charged_twice(snapshot: Snapshot, journal: Journal) -> list[str]:
    """Each message has a text and a key of its own; so has each payment its key."""
    found = []
    for user_id, wallet_id in journal.people:
        rows = snapshot.interactions.history(user_id, HistoryFilter(), after=None, limit=EVERYTHING)
        charged = Counter(row.prompt for row in rows if row.credits_charged)
        found += [f"twice: {prompt} was charged {count} times" for prompt, count in charged.items() if count > 1]
        entries = snapshot.ledger.of_wallet(wallet_id, kind=EntryKind.TOP_UP, limit=EVERYTHING)
        added = Counter(str(entry.cause.subject) for entry in entries)
        found += [f"twice: {subject} was added {count} times" for subject, count in added.items() if count > 1]
        orders = [name for name in journal.asked if name.startswith("pay-") and journal.asked[name] == user_id]
        if len(added) > len(orders):
            found.append(f"twice: {len(orders)} orders of {user_id} made {len(added)} payments")
    return found
