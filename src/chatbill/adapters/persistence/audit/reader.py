"""Everything the audit reads, row by row in the order it asks for, so that memory stays the same.

A row may hold what no program wrote. So moments are read as the text that they are, on either database, and a row that
makes no sense is told as such; the rows after it are read like any others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from chatbill.adapters.persistence.audit import queries as sql
from chatbill.adapters.persistence.audit.references import DANGLING
from chatbill.adapters.persistence.mapping import described
from chatbill.adapters.persistence.repositories.interactions import PRICE, USAGE
from chatbill.adapters.persistence.repositories.ledger import ENTRIES, SUBJECT_COLUMNS, subject_of
from chatbill.adapters.persistence.repositories.wallets import WALLETS
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.rules import INSTALLED, expected
from chatbill.adapters.persistence.sql.statements import Statement
from chatbill.adapters.persistence.sql.tables import ledger_entries
from chatbill.domain.audit.rows import (
    CodeUsage,
    DanglingReference,
    KeyUsage,
    Ownership,
    Purchase,
    RecordedEntry,
    Settlement,
    TrailCount,
    UnreadableRow,
)
from chatbill.domain.audit.rules import RECORDED
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.domain.billing.subjects import INTERACTION, Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import InteractionId

T = TypeVar("T")
_CREATED_AT = list(ledger_entries.c.keys()).index("created_at")
_CHARGE_ID, _CHARGED, _INTERACTION_ID = map(list(sql.SETTLED).index, ("charge_id", "charged", "interaction_id"))
_CHARGE_OF = [f"charge_{name}" for name in SUBJECT_COLUMNS]
_MOMENTS = [name for name in sql.SETTLED if name.endswith("_at")]


class SqlAuditReader:
    """Streams the rows that an audit compares."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wallets(self) -> Generator[Wallet | UnreadableRow, None, None]:
        with self._scanned(sql.WALLETS) as rows:
            yield from _readable(rows, WALLETS.read, _unreadable_wallet)

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

    def recorded(self) -> Generator[RecordedEntry | UnreadableRow, None, None]:
        with self._scanned(sql.BY_PERSONS) as rows:
            yield from _readable(rows, _recorded, _unreadable("audit_trail"))
        with self._scanned(sql.RECORDS) as rows:
            for found in _readable(rows, _record, _unreadable("audit_trail")):
                if found is not None:
                    yield found

    def trail_count(self) -> TrailCount:
        with self._scanned(sql.COUNTED) as rows:
            counted = next(rows, None)
        with self._scanned(sql.FOUND) as rows:
            return TrailCount(found=next(rows)[0], counted=counted[0] if counted else None)

    def code_uses(self) -> Generator[CodeUsage, None, None]:
        with self._scanned(sql.CODES) as rows:
            for code_id, used, credited, uses, credits_ in rows:
                yield CodeUsage(code_id=code_id, used=used, credited=int(credited), uses=uses, credits=credits_)
        with self._scanned(sql.UNKNOWN_CODES) as rows:
            for code_id, used, credited in rows:
                yield CodeUsage(code_id=code_id, used=used, credited=int(credited))

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
        """Return the rows; the cursor is closed at the end."""
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
    """Return the moment that this text of a database stands for. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} says no time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _entry(row: Row) -> LedgerEntry:
    values = list(row)
    values[_CREATED_AT] = _moment(values[_CREATED_AT])
    return ENTRIES.read(values)


def _unreadable_wallet(row: Row, why: str) -> UnreadableRow:
    return UnreadableRow(table="wallets", row_id=row[0], detail=why, wallet_id=row[0])


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
    *values, created_at = row
    _moment(created_at)
    found = dict(zip(sql.PURCHASED, values, strict=True))
    for name in ("confirmed_at", "credited_at", "refunded_at", "returned_at"):
        found[name] = _moment_or_none(found[name])
    for name in ("credited", "returned"):
        found[name] = int(found[name])
    return Purchase(**found | {"status": PaymentStatus(found["status"])})


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


def _recorded(row: Row) -> RecordedEntry:
    entry_id, kind, author, amount, made_at, action, actor, after, at = row
    return RecordedEntry(
        id=entry_id,
        kind=EntryKind(kind),
        author=author,
        amount=amount,
        made_at=_moment(made_at),
        action=None if action is None else AuditAction(action),
        actor=actor,
        recorded=None if after is None else _facts(after).get("amount"),
        recorded_at=_moment_or_none(at),
    )


def _record(row: Row) -> RecordedEntry | None:
    """Return a record that should have an entry and has none. Raises `ValueError` for one that makes no sense."""
    record_id, action, actor, before, after, at, entry_id = row
    done, moment, _, facts = AuditAction(action), _moment(at), _facts(before), _facts(after)
    if entry_id is not None or done not in RECORDED:
        return None
    return RecordedEntry(id=record_id, action=done, actor=actor, recorded=facts.get("amount"), recorded_at=moment)


def _facts(text: str) -> dict[str, object]:
    facts = json.loads(text)
    if not isinstance(facts, dict):
        raise ValueError(f"{text!r} is no JSON object")  # noqa: TRY004 - the text has the wrong value
    return facts


def _unreadable_hold(rows: Row, why: str) -> UnreadableRow:
    return UnreadableRow(table="holds", row_id=rows[0][0], detail=why, wallet_id=rows[0][1])


def _settlement(rows: Row) -> Settlement:
    found = dict(zip(sql.SETTLED, rows[0], strict=True))
    pop = found.pop
    of, charge_id = [pop(name) for name in _CHARGE_OF], pop("charge_id")
    price, usage = [pop(name) for name in PRICE.columns], [pop(name) for name in USAGE.columns]
    subject = Subject(pop("subject_kind"), pop("subject_id"))
    for text in (pop("purpose"), pop("error_detail")):
        if text is not None:
            described(text)
    for name in _MOMENTS:
        if (moment := found[name]) is not None:
            found[name] = _moment(moment)
    found["subject"], found["state"], found["given_back"] = subject, HoldState(found["state"]), int(found["given_back"])
    if charge_id is None:
        found["charged"] = 0
    else:
        # Nearly always the same: to make it again would cost more than to look.
        is_same = subject.kind == INTERACTION and of == [subject.id, None, None, None]
        found["charges"], found["charge_of"] = 1, subject if is_same else subject_of(*of)
    if found["interaction_id"] is not None:
        outcome = Outcome(found["outcome"])
        found |= {"interactions": 1, "outcome": outcome, "price": PRICE.made_of(*price), "usage": USAGE.made_of(*usage)}
    settlement = Settlement(**found)
    if len(rows) > 1:
        charges = {each[_CHARGE_ID]: each[_CHARGED] for each in rows if each[_CHARGE_ID] is not None}
        settlement.charges, settlement.charged = len(charges), sum(charges.values())
        settlement.interactions = len({each[_INTERACTION_ID] for each in rows})
    return settlement
