"""The rows of a person's own transactions and history, as the API and the exports show them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT
from chatbill.domain.chat.interactions import Interaction
from chatbill.entrypoints.web.tables import Column
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionView:
    """One movement of credits. `amount` is positive when credits came in."""

    id: str
    kind: str
    amount: int
    balance_after: int
    description: str
    interaction_id: str | None = None
    payment_id: str | None = None
    created_at: datetime

    @classmethod
    def of(cls, entry: LedgerEntry) -> TransactionView:
        """Return the view of a transaction."""
        subject = entry.cause.subject
        return cls(
            id=entry.id,
            kind=entry.kind.value,
            amount=entry.signed_amount,
            balance_after=entry.balance_after,
            description=render(entry.cause.description),
            interaction_id=subject.id if subject and subject.kind == INTERACTION else None,
            payment_id=subject.id if subject and subject.kind == PAYMENT else None,
            created_at=entry.created_at,
        )


TRANSACTION_COLUMNS: list[Column[TransactionView]] = [
    Column(each.name, attrgetter(each.name)) for each in fields(TransactionView)
]

_AS_THEY_ARE = ("id", "conversation_id", "created_at", "model", "prompt", "reply", "credits_charged")

HISTORY_COLUMNS: list[Column[Interaction]] = [
    *(Column(name, attrgetter(name)) for name in _AS_THEY_ARE),
    Column("outcome", lambda row: row.outcome.value),
    Column("prompt_tokens", lambda row: row.usage.prompt_tokens),
    Column("completion_tokens", lambda row: row.usage.completion_tokens),
    Column("processing_time_ms", lambda row: row.processing_time_ms),
]
