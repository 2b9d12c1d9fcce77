"""Everything the audit reads, row by row in the order it asks for, so that memory stays the same."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, ScalarSelect, case, func, literal_column, select
from sqlalchemy.sql.functions import FunctionElement

from chatbill.adapters.persistence.connection import Connection, Row
from chatbill.adapters.persistence.repositories.ledger import entry_of
from chatbill.adapters.persistence.repositories.wallets import wallet_of
from chatbill.adapters.persistence.statements import Statement, all_of
from chatbill.adapters.persistence.tables import (
    api_key_months,
    api_keys,
    holds,
    interactions,
    ledger_entries,
    payments,
    wallets,
)
from chatbill.domain.audit import KeyUse, Purchase, Settlement
from chatbill.domain.chat import Outcome
from chatbill.domain.credits import Price, Usage
from chatbill.domain.ids import InteractionId
from chatbill.domain.ledger import EntryKind, LedgerEntry
from chatbill.domain.payments import PaymentStatus
from chatbill.domain.wallets import HoldState, Wallet


def _of_entries(kind: EntryKind, aggregate: FunctionElement[int]) -> ScalarSelect[int]:
    """Something about the entries of a kind that name each hold."""
    # Written out, not a parameter: only so do partial indexes serve.
    is_kind = ledger_entries.c.kind == literal_column(f"'{kind.value}'")
    own = (ledger_entries.c.hold_id == holds.c.id, ledger_entries.c.wallet_id == holds.c.wallet_id)
    return select(aggregate).where(*own, is_kind).scalar_subquery()


def _of_top_ups(aggregate: FunctionElement[int]) -> ScalarSelect[int]:
    """Something about the entries that credited each payment to its wallet."""
    is_top_up = ledger_entries.c.kind == literal_column("'top_up'")
    own = (ledger_entries.c.payment_id == payments.c.id, ledger_entries.c.wallet_id == payments.c.wallet_id)
    return select(aggregate).where(*own, is_top_up).scalar_subquery()


_TOTAL = func.coalesce(func.sum(ledger_entries.c.amount), literal_column("0"))


_WALLETS = Statement(all_of(wallets).order_by(wallets.c.id))
_ENTRIES = Statement(all_of(ledger_entries).order_by(ledger_entries.c.wallet_id, ledger_entries.c.wallet_version))
_SETTLEMENTS = Statement(
    select(
        holds.c.id,
        holds.c.wallet_id,
        holds.c.state,
        holds.c.amount,
        holds.c.captured,
        holds.c.expires_at,
        _of_entries(EntryKind.CHARGE, func.count()),
        _of_entries(EntryKind.CHARGE, _TOTAL),
        holds.c.refunded,
        _of_entries(EntryKind.REFUND, _TOTAL),
        interactions.c.id,
        interactions.c.outcome,
        interactions.c.price_per_reply,
        interactions.c.price_per_1k_prompt_tokens,
        interactions.c.price_per_1k_completion_tokens,
        interactions.c.prompt_tokens,
        interactions.c.completion_tokens,
        interactions.c.credits_charged,
        interactions.c.wallet_id,
        interactions.c.held,
    )
    .join_from(holds, interactions, interactions.c.hold_id == holds.c.id, isouter=True)
    # Sorted by the database, on its disk where there are many: an index for the audit alone would cost every charge.
    .order_by(holds.c.wallet_id, holds.c.id)
)
_UNHELD = Statement(
    select(interactions.c.id)
    .join_from(interactions, holds, interactions.c.hold_id == holds.c.id, isouter=True)
    .where(holds.c.id.is_(None))
)


_PURCHASES = Statement(
    select(
        payments.c.id,
        payments.c.status,
        payments.c.credits,
        payments.c.balance_after,
        _of_top_ups(func.count()),
        _of_top_ups(_TOTAL),
        _of_top_ups(func.max(ledger_entries.c.balance_after)),
    ).order_by(payments.c.id)
)


def _of_key(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    """What interactions with API keys hold or were charged."""
    running = interactions.c.outcome == literal_column("'running'")
    counted = func.sum(case((running, interactions.c.held), else_=interactions.c.credits_charged))
    return select(func.coalesce(counted, literal_column("0"))).where(*where).scalar_subquery()


_KEYS = Statement(
    select(
        api_keys.c.id,
        select(func.coalesce(func.sum(api_key_months.c.used), literal_column("0")))
        .where(api_key_months.c.api_key_id == api_keys.c.id)
        .scalar_subquery(),
        _of_key(interactions.c.api_key_id == api_keys.c.id),
    ).order_by(api_keys.c.id)
)
_KEY_MONTHS = Statement(
    select(
        api_key_months.c.api_key_id,
        api_key_months.c.starts_at,
        api_key_months.c.used,
        _of_key(
            interactions.c.api_key_id == api_key_months.c.api_key_id,
            interactions.c.created_at >= api_key_months.c.starts_at,
            interactions.c.created_at < api_key_months.c.ends_at,
        ),
        api_key_months.c.monthly_cap,
    ).order_by(api_key_months.c.api_key_id, api_key_months.c.starts_at)
)


class SqlBooks:
    """The books, streamed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wallets(self) -> Iterator[Wallet]:
        yield from map(wallet_of, self._connection.scan(_WALLETS))

    def entries(self) -> Iterator[LedgerEntry]:
        yield from map(entry_of, self._connection.scan(_ENTRIES))

    def settlements(self) -> Iterator[Settlement]:
        yield from map(_settlement, self._connection.scan(_SETTLEMENTS))

    def unheld(self) -> Iterator[InteractionId]:
        for (interaction_id,) in self._connection.scan(_UNHELD):
            yield InteractionId(interaction_id)

    def purchases(self) -> Iterator[Purchase]:
        yield from map(_purchase, self._connection.scan(_PURCHASES))

    def key_uses(self) -> Iterator[KeyUse]:
        for key_id, used, found in self._connection.scan(_KEYS):
            yield KeyUse(api_key_id=key_id, month=None, used=int(used), found=int(found))
        for key_id, month, used, found, cap in self._connection.scan(_KEY_MONTHS):
            yield KeyUse(api_key_id=key_id, month=month, used=used, found=int(found), cap=cap)


def _purchase(row: Row) -> Purchase:
    payment_id, status, expected, balance_after, entries, credited, credited_balance = row
    return Purchase(
        payment_id=payment_id,
        confirmed=PaymentStatus(status) is PaymentStatus.CONFIRMED,
        expected=expected,
        balance_after=balance_after,
        entries=entries,
        credited=int(credited),
        credited_balance=credited_balance,
    )


def _settlement(row: Row) -> Settlement:
    hold_id, wallet_id, state, amount, captured, expires_at, charges, charged, refunded, given_back = row[:10]
    interaction_id, outcome, per_reply, per_prompt, per_completion, prompt, completion, credits_charged = row[10:18]
    paid_by, promised = row[18:]
    known = interaction_id is not None
    price = (
        Price(per_reply=per_reply, per_1k_prompt_tokens=per_prompt, per_1k_completion_tokens=per_completion)
        if known
        else None
    )
    return Settlement(
        hold_id=hold_id,
        wallet_id=wallet_id,
        state=HoldState(state),
        amount=amount,
        captured=captured,
        expires_at=expires_at,
        charges=charges,
        charged=int(charged),
        interaction_id=interaction_id,
        outcome=Outcome(outcome) if known else None,
        price=price,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion) if known else None,
        credits_charged=credits_charged,
        refunded=refunded,
        given_back=int(given_back),
        paid_by=paid_by,
        promised=promised,
    )
