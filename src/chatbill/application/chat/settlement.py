"""How a request ends in the books: one function that completes, stops, fails and expires them all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from chatbill.application.accounts.key_spending import give_back
from chatbill.application.ports.repositories.holds import PendingInteraction
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Interaction, Outcome, due_for
from chatbill.domain.shared.errors import AlreadySettled, ChatbillError, Interrupted, InvariantViolation
from chatbill.domain.shared.ids import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a request ended, and what was delivered by then. `error` says why when there is no whole reply."""

    outcome: Outcome
    reply: str = ""
    usage: Usage = Usage()
    error: ChatbillError | None = None


INTERRUPTED = Ending(outcome=Outcome.INTERRUPTED, error=Interrupted())
"""The end of a request whose process is gone."""


async def settle(
    store: Store, work: PendingInteraction, ending: Ending, *, at: datetime, entry_id: EntryId
) -> Interaction:
    """Settle the work in a transaction of its own; return the interaction as it now stands.

    Whoever comes later changes nothing and gets what the first one recorded, so it is safe to call again after an
    answer was lost.
    """
    try:
        return await store.write(lambda tx: record_end(tx, work, ending, at=at, entry_id=entry_id))
    except AlreadySettled:
        interaction = await store.read(lambda snapshot: snapshot.interactions.get(work.interaction.id))
    if interaction is None:
        raise InvariantViolation(f"interaction {work.interaction.id} does not exist")
    return interaction


def record_end(
    tx: Transaction, work: PendingInteraction, ending: Ending, *, at: datetime, entry_id: EntryId
) -> Interaction:
    """Capture what is due or release the hold, and record the end. Raises `AlreadySettled`.

    What the request promised never changes, so nothing but the wallet is read. The stored interaction that still runs
    and the stored hold that is still pending let exactly one caller settle the request.
    """
    # Copies, because a transaction may be run again.
    interaction, hold = replace(work.interaction), replace(work.hold)
    wallet = tx.wallets.lock(hold.wallet_id)
    charged = min(due_for(interaction.price, ending.outcome, ending.usage), hold.amount)
    entry = None
    if charged:
        cause = Cause(description=f"Reply by {interaction.model}", hold_id=hold.id, interaction_id=interaction.id)
        entry = wallet.capture(hold, charged, entry_id=entry_id, at=at, cause=cause)
    else:
        wallet.release(hold, at=at)
    interaction.finish(
        ending.outcome,
        at=at,
        reply=ending.reply,
        usage=ending.usage,
        credits_charged=charged,
        balance_after=wallet.posted,
        error_code=ending.error.code if ending.error else None,
        error_detail=ending.error.description.dumps() if ending.error else None,
    )
    tx.interactions.save(interaction)
    give_back(tx, interaction, hold.amount - charged)
    tx.holds.save(hold)
    tx.wallets.save(wallet)
    if entry:
        tx.ledger.append(entry)
    return interaction
