"""Response bodies and columns of the lists behind reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from chatbill.application.reports.list_ledger import OwnedEntry
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT, USER
from chatbill.domain.chat.interactions import Interaction
from chatbill.entrypoints.web.tables import Column
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One movement of credits of a wallet. `amount` is positive when credits came in. `author` made it by hand."""

    id: str
    created_at: datetime
    user_id: str | None
    wallet_id: str
    kind: str
    amount: int
    balance_after: int
    description: str
    interaction_id: str | None
    payment_id: str | None
    author: str | None

    @classmethod
    def of(cls, owned: OwnedEntry) -> EntryView:
        """Return the view of an entry."""
        entry, owner, subject = owned.entry, owned.owner, owned.entry.cause.subject
        return cls(
            id=entry.id,
            created_at=entry.created_at,
            user_id=owner.id if owner and owner.kind == USER else None,
            wallet_id=entry.wallet_id,
            kind=entry.kind.value,
            amount=entry.signed_amount,
            balance_after=entry.balance_after,
            description=render(entry.cause.description),
            interaction_id=subject.id if subject and subject.kind == INTERACTION else None,
            payment_id=subject.id if subject and subject.kind == PAYMENT else None,
            author=entry.cause.author,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesView:
    """Entries of all wallets, newest first."""

    items: list[EntryView]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """One request to a model. `prompt` and `reply` are null where they may not be read, times where there are none."""

    id: str
    created_at: datetime
    finished_at: datetime | None
    user_id: str
    api_key_id: str | None
    conversation_id: str
    model: str
    outcome: str
    cached: bool
    prompt_tokens: int
    completion_tokens: int
    credits_charged: int
    processing_time_ms: int | None
    first_token_ms: int | None
    error_code: str | None
    prompt: str | None
    reply: str | None

    @classmethod
    def of(cls, row: Interaction, *, has_texts: bool) -> RequestView:
        """Return the view of a request."""
        return cls(
            id=row.id,
            created_at=row.created_at,
            finished_at=row.finished_at,
            user_id=row.user_id,
            api_key_id=row.api_key_id,
            conversation_id=row.conversation_id,
            model=row.model,
            outcome=row.outcome.value,
            cached=row.cached,
            prompt_tokens=row.usage.prompt_tokens,
            completion_tokens=row.usage.completion_tokens,
            credits_charged=row.credits_charged,
            processing_time_ms=row.processing_time_ms,
            first_token_ms=row.first_token_ms,
            error_code=row.error_code,
            prompt=row.prompt if has_texts else None,
            reply=row.reply if has_texts else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsView:
    """Requests of all people, newest first."""

    items: list[RequestView]
    next_cursor: str | None = None


ENTRY_COLUMNS: list[Column[EntryView]] = [
    Column(name, attrgetter(name), is_summed=name == "amount")
    for name in (
        *("id", "created_at", "user_id", "wallet_id", "kind", "amount", "balance_after", "description"),
        *("interaction_id", "payment_id", "author"),
    )
]
INTERACTION_COLUMNS: list[Column[RequestView]] = [
    Column(
        name,
        attrgetter(name),
        is_summed=name in {"prompt_tokens", "completion_tokens", "credits_charged"},
    )
    for name in (
        *("id", "created_at", "finished_at", "user_id", "api_key_id", "conversation_id", "model", "outcome"),
        *("prompt_tokens", "completion_tokens", "credits_charged", "processing_time_ms", "first_token_ms"),
        *("error_code", "prompt", "reply"),
    )
]
