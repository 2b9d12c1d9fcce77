"""How a request ends in the books: one function that completes, stops, fails and expires them all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.key_spending import give_back
from chatbill.application.ports.repositories import HeldWork
from chatbill.application.ports.store import Transaction
from chatbill.domain.chat import Interaction, Outcome, due_for
from chatbill.domain.credits import Usage
from chatbill.domain.errors import BrokenBooks, ChatbillError, Interrupted
from chatbill.domain.ids import EntryId
from chatbill.domain.ledger import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a request ended, and what was delivered by then. `error` says why when there is no whole reply."""

    outcome: Outcome
    reply: str = ""
    usage: Usage = Usage()
    error: ChatbillError | None = None


INTERRUPTED = Ending(outcome=Outcome.INTERRUPTED, error=Interrupted())
"""The end of a request whose process is gone."""


def settle(tx: Transaction, work: HeldWork, ending: Ending, *, at: datetime, entry_id: EntryId) -> Interaction:
    """Capture what is due or release the hold, and record the end; return the interaction as it now stands.

    The wallet's lock lets exactly one caller settle a request. Whoever comes later changes nothing and gets what
    the first one recorded, so it is safe to call again after an answer was lost.
    """
    wallet = tx.wallets.lock(work.wallet_id)
    interaction = tx.interactions.get(work.interaction_id)
    if interaction is None:
        raise BrokenBooks(f"interaction {work.interaction_id} does not exist")
    if not interaction.is_running:
        return interaction
    hold = tx.holds.get(interaction.hold_id)
    if hold is None:
        raise BrokenBooks(f"interaction {interaction.id} has no hold")

    charged = min(due_for(interaction.price, ending.outcome, ending.usage), hold.amount)
    if charged:
        cause = Cause(description=f"Reply by {interaction.model}", hold_id=hold.id, interaction_id=interaction.id)
        tx.ledger.append(wallet.capture(hold, charged, entry_id=entry_id, at=at, cause=cause))
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
        error_detail=str(ending.error) if ending.error else None,
    )
    give_back(tx, interaction, hold.amount - charged)
    tx.holds.save(hold)
    tx.wallets.save(wallet)
    tx.interactions.save(interaction)
    return interaction
