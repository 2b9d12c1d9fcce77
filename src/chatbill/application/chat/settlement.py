"""Settle requests: one function records that a request completed, was stopped, failed or expired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from chatbill.application.accounts.spending_caps import caps_of
from chatbill.application.billing.postings import settle_hold
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import DROPPED_TURNS, TRIMMED, Interaction, Outcome, due_for
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import AlreadySettled, ChatbillError, Interrupted, InvariantViolation
from chatbill.domain.shared.ids import EntryId, InteractionId


@dataclass(frozen=True, slots=True)
class PendingInteraction:
    """A running interaction and the pending hold that pays for it."""

    interaction: Interaction
    hold: Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a request and the part of the reply that was delivered. `error` is set if it is not complete.

    `dropped_turns` is how many of the oldest turns the model could not read, and `first_token_ms` the time from
    acceptance to the first token.
    """

    outcome: Outcome
    reply: str = ""
    usage: Usage = Usage()
    error: ChatbillError | None = None
    dropped_turns: int = 0
    first_token_ms: int | None = None

    @property
    def detail(self) -> Description | None:
        """Return the error for the person, and how much was left out of the conversation."""
        described = self.error.description if self.error else None
        if not self.dropped_turns:
            return described
        described = described or Description(TRIMMED)
        return replace(described, params={**described.params, DROPPED_TURNS: self.dropped_turns})


INTERRUPTED = Ending(outcome=Outcome.INTERRUPTED, error=Interrupted())
"""The end of a request whose process is gone."""


async def settle(
    store: Store, work: PendingInteraction, ending: Ending, *, at: datetime, entry_id: EntryId
) -> Interaction:
    """Settle the work in a transaction of its own; return the interaction as it now stands.

    A later call changes nothing and returns what the first one recorded, so it is safe to call again after an answer
    was lost.
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
    interaction, hold = work.interaction, work.hold
    charged = min(due_for(interaction.price, ending.outcome, ending.usage), hold.amount)
    # Checked first, so that what lost the race is told so and not that the hold is settled.
    wallet = tx.wallets.lock(hold.wallet_id)
    interaction = interaction.ended(
        ending.outcome,
        at=at,
        reply=ending.reply,
        usage=ending.usage,
        credits_charged=charged,
        balance_after=wallet.posted - charged,
        error_code=ending.error.code if ending.error else None,
        error_detail=ending.detail,
        first_token_ms=ending.first_token_ms,
    )
    tx.interactions.save(interaction)
    for cap in caps_of(interaction.api_key_id):
        cap.give_back(tx, hold.amount - charged, at=interaction.created_at)
    settle_hold(tx, wallet, hold, charged, entry_id=entry_id, at=at)
    return interaction


def interrupt(tx: Transaction, hold: Hold, *, at: datetime, entry_id: EntryId) -> bool:
    """End the interaction of a hold that is past its time; return False where the hold has none."""
    interaction = tx.interactions.get(InteractionId(hold.subject.id))
    if interaction is None or interaction.hold_id != hold.id:
        return False
    record_end(tx, PendingInteraction(interaction, hold), INTERRUPTED, at=at, entry_id=entry_id)
    return True
