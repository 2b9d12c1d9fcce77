"""What the audit asks of the database. Moments come as text, whatever they say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, ScalarSelect, Text, and_, case, cast, func, literal_column, select
from sqlalchemy.sql.functions import FunctionElement

from chatbill.adapters.persistence.sql.statements import Statement, all_of
from chatbill.adapters.persistence.sql.tables import (
    MAX_CREDITS,
    api_key_months,
    api_keys,
    holds,
    interactions,
    ledger_entries,
    payments,
    users,
    wallets,
)
from chatbill.adapters.persistence.sql.types import UtcDateTime

_ZERO: ColumnElement[int] = literal_column("0")
_CHARGE = ledger_entries.alias("charge")


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """The column, or the text of its moment."""
    return cast(column, Text) if isinstance(column.type, UtcDateTime) else column


def _total(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    """The sum. What no amount can be counts for nothing: SQLite would end the audit with an overflow."""
    believable = amount.between(literal_column(str(-MAX_CREDITS)), literal_column(str(MAX_CREDITS)))
    return func.coalesce(func.sum(case((believable, amount), else_=_ZERO)), _ZERO)


def _of_refunds() -> ScalarSelect[int]:
    """What was given back of each hold's interaction."""
    return (
        select(_total(ledger_entries.c.amount))
        .where(
            ledger_entries.c.hold_id == holds.c.id,
            ledger_entries.c.wallet_id == holds.c.wallet_id,
            ledger_entries.c.interaction_id == interactions.c.id,
            # Written out, not a parameter: only so do partial indexes serve.
            ledger_entries.c.kind == literal_column("'refund'"),
        )
        .correlate(holds, interactions)
        .scalar_subquery()
    )


def _of_top_ups(aggregate: ColumnElement[Any] | FunctionElement[Any]) -> ScalarSelect[Any]:
    """Something about the entries that credited each payment to its wallet."""
    is_top_up = ledger_entries.c.kind == literal_column("'top_up'")
    own = (ledger_entries.c.payment_id == payments.c.id, ledger_entries.c.wallet_id == payments.c.wallet_id)
    return select(aggregate).where(*own, is_top_up).scalar_subquery()


WALLETS = Statement(all_of(wallets).order_by(wallets.c.id))
OWNERS = Statement(select(users.c.wallet_id, users.c.id).order_by(users.c.wallet_id, users.c.id))
ENTRIES = Statement(
    select(*map(raw, ledger_entries.c.values())).order_by(ledger_entries.c.wallet_id, ledger_entries.c.wallet_version)
)
SETTLEMENTS = Statement(
    select(
        holds.c.id,
        holds.c.wallet_id,
        holds.c.state,
        holds.c.amount,
        holds.c.captured,
        raw(holds.c.created_at),
        raw(holds.c.expires_at),
        raw(holds.c.settled_at),
        holds.c.refunded,
        _of_refunds(),
        _CHARGE.c.id,
        _CHARGE.c.amount,
        _CHARGE.c.interaction_id,
        raw(_CHARGE.c.created_at),
        _CHARGE.c.balance_after,
        interactions.c.id,
        interactions.c.user_id,
        interactions.c.wallet_id,
        interactions.c.outcome,
        interactions.c.price_per_reply,
        interactions.c.price_per_1k_prompt_tokens,
        interactions.c.price_per_1k_completion_tokens,
        interactions.c.prompt_tokens,
        interactions.c.completion_tokens,
        interactions.c.credits_charged,
        interactions.c.held,
        raw(interactions.c.created_at),
        raw(interactions.c.finished_at),
        interactions.c.balance_after,
    )
    .select_from(holds)
    .outerjoin(interactions, interactions.c.hold_id == holds.c.id)
    .outerjoin(
        _CHARGE,
        and_(
            _CHARGE.c.hold_id == holds.c.id,
            _CHARGE.c.wallet_id == holds.c.wallet_id,
            _CHARGE.c.kind == literal_column("'charge'"),
        ),
    )
    # Sorted by the database, on its disk where there are many: an index for the audit alone would cost every charge.
    .order_by(holds.c.wallet_id, holds.c.id)
)
UNHELD = Statement(
    select(interactions.c.id)
    .join_from(interactions, holds, interactions.c.hold_id == holds.c.id, isouter=True)
    .where(holds.c.id.is_(None))
)
PURCHASES = Statement(
    select(
        payments.c.id,
        payments.c.wallet_id,
        users.c.wallet_id,
        payments.c.status,
        payments.c.credits,
        payments.c.balance_after,
        raw(payments.c.confirmed_at),
        raw(payments.c.created_at),
        _of_top_ups(func.count()),
        _of_top_ups(_total(ledger_entries.c.amount)),
        _of_top_ups(func.max(ledger_entries.c.balance_after)),
        _of_top_ups(func.max(raw(ledger_entries.c.created_at))),
    )
    .join_from(payments, users, users.c.id == payments.c.user_id, isouter=True)
    .order_by(payments.c.id)
)


def _of_key(counted: ColumnElement[Any], *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """Something about the interactions of an API key."""
    return select(_total(counted)).where(*where).scalar_subquery()


_HELD_OR_CHARGED = case(
    (interactions.c.outcome == literal_column("'running'"), interactions.c.held), else_=interactions.c.credits_charged
)
_BY_ANOTHER = case((interactions.c.user_id != api_keys.c.user_id, literal_column("1")), else_=_ZERO)
_WITH_KEY = interactions.c.api_key_id == api_keys.c.id

KEYS = Statement(
    select(
        api_keys.c.id,
        select(_total(api_key_months.c.used)).where(api_key_months.c.api_key_id == api_keys.c.id).scalar_subquery(),
        _of_key(_HELD_OR_CHARGED, _WITH_KEY),
        select(_total(_BY_ANOTHER)).where(_WITH_KEY).correlate(api_keys).scalar_subquery(),
    ).order_by(api_keys.c.id)
)
KEY_MONTHS = Statement(
    select(
        api_key_months.c.api_key_id,
        raw(api_key_months.c.starts_at),
        raw(api_key_months.c.ends_at),
        api_key_months.c.used,
        _of_key(
            _HELD_OR_CHARGED,
            interactions.c.api_key_id == api_key_months.c.api_key_id,
            interactions.c.created_at >= api_key_months.c.starts_at,
            interactions.c.created_at < api_key_months.c.ends_at,
        ),
        api_key_months.c.monthly_cap,
        api_keys.c.monthly_cap,
    )
    .join_from(api_key_months, api_keys, api_keys.c.id == api_key_months.c.api_key_id, isouter=True)
    .order_by(api_key_months.c.api_key_id, api_key_months.c.starts_at)
)
