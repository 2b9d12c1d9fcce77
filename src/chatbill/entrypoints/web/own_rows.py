"""The rows of a person's own transactions, history and conversations, as the API and the exports show them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Self

from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.prices import Usage
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT
from chatbill.domain.chat.conversations import Conversation
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """Tokens read and written, as the model counts them."""

    prompt_tokens: int
    completion_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> UsageView:
        """Return the view of the usage."""
        return cls(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionView:
    """A message and its reply. `error_code` and `error_detail` say why the reply failed.

    `dropped_turns` is how many of the oldest messages and replies the model could not read. The texts of a `temporary`
    one were never stored.
    """

    id: str
    conversation_id: str
    model: str
    prompt: str
    reply: str
    outcome: str
    credits_charged: int
    usage: UsageView
    processing_time_ms: int | None = None
    created_at: datetime
    error_code: str | None = None
    error_detail: str | None = None
    dropped_turns: int = 0
    cached: bool = False
    temporary: bool = False

    @classmethod
    def of(cls, interaction: Interaction) -> Self:
        """Return the view of an interaction."""
        return cls(
            id=interaction.id,
            conversation_id=interaction.conversation_id,
            model=interaction.model,
            prompt=interaction.prompt,
            reply=interaction.reply,
            outcome=interaction.outcome.value,
            credits_charged=interaction.credits_charged,
            usage=UsageView.of(interaction.usage),
            processing_time_ms=interaction.processing_time_ms,
            created_at=interaction.created_at,
            error_code=interaction.error_code,
            error_detail=error_detail_of(interaction),
            dropped_turns=interaction.dropped_turns,
            cached=interaction.cached,
            temporary=interaction.temporary,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """A conversation without its messages."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    pinned: bool = False

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationView:
        """Return the view of a conversation."""
        return cls(
            id=conversation.id,
            title=conversation.title,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            pinned=conversation.pinned,
        )


def error_detail_of(interaction: Interaction) -> str | None:
    """Return what stopped a reply, in words; None if nothing did."""
    detail = interaction.error_detail
    return render(detail) if detail and interaction.error_code else None
