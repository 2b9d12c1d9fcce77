"""Everything the audit reads, row by row in the order it asks for, so that memory stays the same.

A row may hold what no program wrote. So moments are read as the text that they are, on either database, and a row that
makes no sense is told as such; the rows after it are read like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from chatbill.adapters.persistence.audit import queries as sql
from chatbill.adapters.persistence.audit.references import DANGLING
from chatbill.adapters.persistence.repositories.ledger import entry_of
from chatbill.adapters.persistence.repositories.wallets import wallet_of
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.rules import INSTALLED, expected
from chatbill.adapters.persistence.sql.statements import Statement
from chatbill.adapters.persistence.sql.tables import ledger_entries
from chatbill.domain.audit.rows import DanglingReference, KeyUsage, Ownership, Purchase, Settlement, UnreadableRow
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import InteractionId

T = TypeVar("T")
_CREATED_AT = list(ledger_entries.c.keys()).index("created_at")


class SqlAuditReader:
    """The books, streamed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wallets(self) -> Generator[Wallet, None, None]:
        with self._scanned(sql.WALLETS) as rows:
            yield from map(wallet_of, rows)

    def owners(self) -> Generator[Ownership, None, None]:
        with self._scanned(sql.OWNERS) as rows:
            for wallet_id, user_id in rows:
                yield Ownership(wallet_id, user_id)

    def entries(self) -> Generator[LedgerEntry | UnreadableRow, None, None]:
        with self._scanned(sql.ENTRIES) as rows:
            yield from _readable(rows, _entry, _unreadable_entry)

    def settlements(self) -> Generator[Settlement | UnreadableRow, None, None]:
        with self._scanned(sql.SETTLEMENTS) as rows:
            # One row each, unless some rule of the database is gone, and two charges or requests name one hold.
            holds = (list(group) for _, group in groupby(rows, key=itemgetter(0)))
            yield from _readable(holds, _settlement, _unreadable_hold)

    def unheld(self) -> Generator[InteractionId, None, None]:
        with self._scanned(sql.UNHELD) as rows:
            for (interaction_id,) in rows:
                yield InteractionId(interaction_id)

    def purchases(self) -> Generator[Purchase | UnreadableRow, None, None]:
        with self._scanned(sql.PURCHASES) as rows:
            yield from _readable(rows, _purchase, _unreadable("payments"))

    def key_uses(self) -> Generator[KeyUsage | UnreadableRow, None, None]:
        with self._scanned(sql.KEYS) as rows:
            for key_id, used, found, by_others in rows:
                yield KeyUsage(api_key_id=key_id, used=int(used), found=int(found), by_others=int(by_others))
        with self._scanned(sql.KEY_MONTHS) as rows:
            yield from _readable(rows, _key_month, _unreadable("api_key_months"))

    def dangling(self) -> Generator[DanglingReference, None, None]:
        for table, columns, statement in DANGLING:
            with self._scanned(statement) as rows:
                for row_id, *missing in rows:
                    for column, is_missing in zip(columns, missing, strict=True):
                        if is_missing:
                            yield DanglingReference(table=table, row_id=row_id, column=column)

    def missing_rules(self) -> Generator[str, None, None]:
        dialect = self._connection.dialect_name
        with self._scanned(INSTALLED[dialect]) as rows:
            found = {(kind, name) for kind, name in rows}
        yield from (f"the {kind} {name}" for kind, name in sorted(expected(dialect, self._connection.prefix) - found))

    def _scanned(self, statement: Statement) -> closing[Generator[Row, None, None]]:
        """The rows. What the database keeps open for them is closed at the end, whatever that is."""
        return closing(self._connection.scan(statement))


def _readable(
    rows: Iterator[Row], of: Callable[[Row], T], unreadable: Callable[[Row, str], UnreadableRow]
) -> Iterator[T | UnreadableRow]:
    for row in rows:
        try:
            yield of(row)
        except (ValueError, TypeError, OverflowError, InvariantViolation) as error:
            yield unreadable(row, str(error))


def _unreadable(table: str) -> Callable[[Row, str], UnreadableRow]:
    return lambda row, why: UnreadableRow(table=table, row_id=str(row[0]), detail=why)


@lru_cache(maxsize=16)
def _moment(text: str) -> datetime:
    """The moment that a database keeps as this text, or that PostgreSQL shows so. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} says no time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


@lru_cache(maxsize=64)
def _price(per_reply: int, per_1k_prompt: int, per_1k_completion: int) -> Price:
    """The price; there are few of them, and many interactions."""
    return Price(per_reply=per_reply, per_1k_prompt_tokens=per_1k_prompt, per_1k_completion_tokens=per_1k_completion)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _entry(row: Row) -> LedgerEntry:
    values = list(row)
    values[_CREATED_AT] = _moment(values[_CREATED_AT])
    return entry_of(values)


def _unreadable_entry(row: Row, why: str) -> UnreadableRow:
    values = dict(zip(ledger_entries.c.keys(), row, strict=True))
    return UnreadableRow(
        table="ledger_entries",
        row_id=values["id"],
        detail=why,
        wallet_id=values["wallet_id"],
        wallet_version=values["wallet_version"],
        balance_after=values["balance_after"],
    )


def _purchase(row: Row) -> Purchase:
    payment_id, wallet_id, own_wallet, status, expected_, balance_after, confirmed_at, created_at = row[:8]
    entries, credited, credited_balance, credited_at = row[8:]
    _moment(created_at)
    return Purchase(
        payment_id=payment_id,
        confirmed=PaymentStatus(status) is PaymentStatus.CONFIRMED,
        expected=expected_,
        balance_after=balance_after,
        confirmed_at=_moment_or_none(confirmed_at),
        entries=entries,
        credited=int(credited),
        credited_balance=credited_balance,
        credited_at=_moment_or_none(credited_at),
        wallet_id=wallet_id,
        own_wallet=own_wallet,
    )


def _key_month(row: Row) -> KeyUsage:
    key_id, starts_at, ends_at, used, found, cap, key_cap = row
    return KeyUsage(
        api_key_id=key_id,
        month=_moment(starts_at),
        month_ends=_moment(ends_at),
        used=used,
        found=int(found),
        cap=cap,
        key_cap=key_cap,
    )


def _unreadable_hold(rows: Row, why: str) -> UnreadableRow:
    return UnreadableRow(table="holds", row_id=rows[0][0], detail=why, wallet_id=rows[0][1])


def _settlement(rows: Row) -> Settlement:
    row = rows[0]
    hold_id, wallet_id, state, amount, captured, created_at, expires_at, settled_at, refunded, given_back = row[:10]
    charge_id, charged, charge_of, charged_at, charged_balance, interaction_id = row[10:16]
    settlement = Settlement(
        hold_id=hold_id,
        wallet_id=wallet_id,
        state=HoldState(state),
        amount=amount,
        captured=captured,
        created_at=_moment(created_at),
        expires_at=_moment(expires_at),
        settled_at=_moment_or_none(settled_at),
        refunded=refunded,
        given_back=int(given_back),
    )
    if charge_id is not None:
        settlement.charges, settlement.charged = 1, charged
        settlement.charge_of, settlement.charged_balance = charge_of, charged_balance
        settlement.charged_at = _moment(charged_at)
    if interaction_id is not None:
        settlement.interactions, settlement.interaction_id = 1, interaction_id
        _add_interaction(settlement, row[16:])
    if len(rows) > 1:
        charges = {each[10]: each[11] for each in rows if each[10] is not None}
        settlement.charges, settlement.charged = len(charges), sum(charges.values())
        settlement.interactions = len({each[15] for each in rows})
    return settlement


def _add_interaction(settlement: Settlement, row: Row) -> None:
    user_id, paid_by, outcome, per_reply, per_prompt, per_completion, prompt, completion = row[:8]
    credits_charged, promised, asked_at, finished_at, balance_after = row[8:]
    settlement.user_id, settlement.paid_by = user_id, paid_by
    settlement.outcome = Outcome(outcome)
    settlement.price = _price(per_reply, per_prompt, per_completion)
    settlement.usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    settlement.credits_charged, settlement.promised, settlement.balance_after = credits_charged, promised, balance_after
    settlement.asked_at, settlement.finished_at = _moment(asked_at), _moment_or_none(finished_at)
