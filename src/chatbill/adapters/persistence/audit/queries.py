"""What the audit asks of the database. Moments come as text, so that one without a meaning can be read too."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, ScalarSelect, Text, and_, case, cast, func, literal_column, or_, select
from sqlalchemy.sql.functions import FunctionElement

from chatbill.adapters.persistence.repositories.interactions import PRICE, USAGE
from chatbill.adapters.persistence.repositories.ledger import SUBJECT_COLUMNS
from chatbill.adapters.persistence.sql.statements import Statement, all_of
from chatbill.adapters.persistence.sql.tables import (
    MAX_CREDITS,
    api_key_months,
    api_keys,
    audit_trail,
    audit_trail_counts,
    holds,
    interactions,
    ledger_entries,
    payments,
    redeem_codes,
    users,
    wallets,
)
from chatbill.adapters.persistence.sql.types import UtcDateTime
from chatbill.domain.billing.subjects import CODE, INTERACTION

_ZERO: ColumnElement[int] = literal_column("0")
_CHARGE = ledger_entries.alias("charge")
_RETURNED = ("adjustment", ledger_entries.c.author.is_(None))
"""Entries that took the credits of a payment back."""


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return the column, or the text of its moment."""
    return cast(column, Text) if isinstance(column.type, UtcDateTime) else column


def _total(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the sum. Values that are no valid amount are left out, because SQLite would stop with an overflow."""
    believable = amount.between(literal_column(str(-MAX_CREDITS)), literal_column(str(MAX_CREDITS)))
    return func.coalesce(func.sum(case((believable, amount), else_=_ZERO)), _ZERO)


def _of_refunds() -> ScalarSelect[int]:
    """Return the credits that were refunded for each hold's subject."""
    entries = ledger_entries.c
    same = or_(
        and_(holds.c.subject_kind == literal_column(f"'{INTERACTION}'"), entries.interaction_id == holds.c.subject_id),
        and_(entries.subject_kind == holds.c.subject_kind, entries.subject_id == holds.c.subject_id),
    )
    # Written out, not a parameter: only so do partial indexes serve.
    is_refund = entries.kind == literal_column("'refund'")
    own = (entries.hold_id == holds.c.id, entries.wallet_id == holds.c.wallet_id)
    return select(_total(entries.amount)).where(*own, same, is_refund).correlate(holds).scalar_subquery()


def _of_payment(
    aggregate: ColumnElement[Any] | FunctionElement[Any], kind: str = "top_up", *where: ColumnElement[bool]
) -> ScalarSelect[Any]:
    """Select a value from the entries of each payment and its wallet, by default those that credited it."""
    own = (ledger_entries.c.payment_id == payments.c.id, ledger_entries.c.wallet_id == payments.c.wallet_id)
    of_kind = ledger_entries.c.kind == literal_column(f"'{kind}'")
    return select(aggregate).where(*own, of_kind, *where).scalar_subquery()


WALLETS = Statement(all_of(wallets).order_by(wallets.c.id))
OWNERS = Statement(select(users.c.wallet_id, users.c.id).order_by(users.c.wallet_id, users.c.id))
ENTRIES = Statement(
    select(*map(raw, ledger_entries.c.values())).order_by(ledger_entries.c.wallet_id, ledger_entries.c.wallet_version)
)

SETTLED: dict[str, ColumnElement[Any] | ScalarSelect[Any]] = {
    "hold_id": holds.c.id,
    **{name: holds.c[name] for name in ("wallet_id", "subject_kind", "subject_id", "state", "amount", "captured")},
    **{name: raw(holds.c[name]) for name in ("created_at", "expires_at", "settled_at")},
    "refunded": holds.c.refunded,
    "purpose": holds.c.purpose,
    "given_back": _of_refunds(),
    "charge_id": _CHARGE.c.id,
    "charged": _CHARGE.c.amount,
    "charged_at": raw(_CHARGE.c.created_at),
    "charged_balance": _CHARGE.c.balance_after,
    **{f"charge_{name}": _CHARGE.c[name] for name in SUBJECT_COLUMNS},
    "interaction_id": interactions.c.id,
    "user_id": interactions.c.user_id,
    "outcome": interactions.c.outcome,
    "error_detail": interactions.c.error_detail,
    **{name: interactions.c[name] for name in (*PRICE.columns, *USAGE.columns, "credits_charged")},
    "paid_by": interactions.c.wallet_id,
    "promised": interactions.c.held,
    "asked_at": raw(interactions.c.created_at),
    "finished_at": raw(interactions.c.finished_at),
    "balance_after": interactions.c.balance_after,
}
"""What is read of each hold, its charge and its interaction, by name."""
SETTLEMENTS = Statement(
    select(*SETTLED.values())
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
PURCHASED: dict[str, ColumnElement[Any] | ScalarSelect[Any]] = {
    "payment_id": payments.c.id,
    "status": payments.c.status,
    "expected": payments.c.credits,
    "balance_after": payments.c.balance_after,
    "confirmed_at": raw(payments.c.confirmed_at),
    "entries": _of_payment(func.count()),
    "credited": _of_payment(_total(ledger_entries.c.amount)),
    "credited_balance": _of_payment(func.max(ledger_entries.c.balance_after)),
    "credited_at": _of_payment(func.max(raw(ledger_entries.c.created_at))),
    "wallet_id": payments.c.wallet_id,
    "own_wallet": users.c.wallet_id,
    "refunded_at": raw(payments.c.refunded_at),
    "returns": _of_payment(func.count(), *_RETURNED),
    "returned": _of_payment(_total(ledger_entries.c.amount), *_RETURNED),
    "returned_at": _of_payment(func.max(raw(ledger_entries.c.created_at)), *_RETURNED),
}
"""What is read of each payment and its entries, by the attribute of `Purchase`."""
PURCHASES = Statement(
    # When it was made concerns no rule, and must be a moment all the same.
    select(*PURCHASED.values(), raw(payments.c.created_at))
    .join_from(payments, users, users.c.id == payments.c.user_id, isouter=True)
    .order_by(payments.c.id)
)


_E, _T = ledger_entries.c, audit_trail.c
_IS_OF_CODE = _E.subject_kind == literal_column(f"'{CODE}'")
_SIGNED = case((_E.debit.like(literal_column("'house:%'")), _E.amount), else_=-_E.amount)
_BEGAN = select(func.min(_T.at)).scalar_subquery()
BY_PERSONS = Statement(
    select(_E.id, _E.kind, _E.author, _SIGNED, raw(_E.created_at), _T.action, _T.actor, _T.after, raw(_T.at))
    .join_from(ledger_entries, audit_trail, _T.id == _E.id, isouter=True)
    .where(_E.author.is_not(None) | _IS_OF_CODE, _E.created_at >= _BEGAN)
)
RECORDS = Statement(
    select(_T.id, _T.action, _T.actor, _T.before, _T.after, raw(_T.at), _E.id)
    .join_from(audit_trail, ledger_entries, _E.id == _T.id, isouter=True)
    .order_by(_T.id)
)
COUNTED = Statement(select(audit_trail_counts.c.records))
FOUND = Statement(select(func.count()).select_from(audit_trail))
CODES = Statement(
    select(redeem_codes.c.id, func.count(_E.id), _total(_E.amount), redeem_codes.c.uses, redeem_codes.c.credits)
    .join_from(redeem_codes, ledger_entries, and_(_IS_OF_CODE, _E.subject_id == redeem_codes.c.id), isouter=True)
    .group_by(redeem_codes.c.id, redeem_codes.c.uses, redeem_codes.c.credits)
    .order_by(redeem_codes.c.id)
)
UNKNOWN_CODES = Statement(
    select(_E.subject_id, func.count(_E.id), _total(_E.amount))
    .join_from(ledger_entries, redeem_codes, redeem_codes.c.id == _E.subject_id, isouter=True)
    .where(_IS_OF_CODE, redeem_codes.c.id.is_(None))
    .group_by(_E.subject_id)
)


def _of_key(counted: ColumnElement[Any], *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """Select a value from the interactions of an API key."""
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
