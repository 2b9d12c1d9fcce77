"""What reports read, and the roll-ups that are made from it, in SQL."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta

from sqlalchemy import Column, Delete, bindparam, func, select

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.repositories.ledger import ENTRIES
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.report_tables import report_movements, report_notes, report_rollups
from chatbill.adapters.persistence.sql.statements import (
    Statement,
    all_of,
    equals,
    insert,
    insert_if_new,
    limit,
    locking,
    upsert,
)
from chatbill.adapters.persistence.sql.tables import interactions, ledger_entries, users, wallets
from chatbill.application.ports.repositories.reports import RollUpRow
from chatbill.domain.billing.holds import MAX_HOLD_S
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.reports.finance import CreditFigures, CreditMovement
from chatbill.domain.reports.usage import EndedInteraction
from chatbill.domain.shared.ids import UserId, WalletId

_I, _E = interactions.c, ledger_entries.c
_N, _M, _R = report_notes.c, report_movements.c, report_rollups.c
_MOVEMENTS = Mapping(
    report_movements,
    CreditMovement,
    Part("figures", ("figures",), CreditFigures.loads, lambda figures: (figures.dumps(),)),
)


def _from_to(column: Column[datetime]) -> tuple[object, object]:
    return column >= bindparam("start"), column < bindparam("end")


_NOTE_BY_ID = select(_N.body).where(equals(_N.kind), equals(_N.id))
_NOTE = Statement(_NOTE_BY_ID)
_LOCK_NOTE = Statement(locking(_NOTE_BY_ID))
_NEW_NOTE = insert_if_new(report_notes)
_PUT_NOTE = upsert(report_notes)
_REMOVE_NOTE = Statement(Delete(report_notes).where(equals(_N.kind), equals(_N.id)))
_ENDED_COLUMNS = select(
    _I.id,
    _I.finished_at,
    _I.user_id,
    _I.api_key_id,
    _I.model,
    _I.outcome,
    _I.prompt_tokens,
    _I.completion_tokens,
    _I.credits_charged,
    _I.processing_time_ms,
    _I.first_token_ms,
)
_IN_PERIOD = _ENDED_COLUMNS.where(*_from_to(_I.finished_at)).order_by(_I.finished_at)  # type: ignore[arg-type]
_ENDED = Statement(_IN_PERIOD)
# By the time of their beginning too, for which there is an index of each user.
_ENDED_OF = Statement(
    _IN_PERIOD.where(equals(_I.user_id), _I.created_at >= bindparam("earliest"), _I.created_at < bindparam("end"))
)
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_COUNTED = Statement(all_of(report_movements, *_from_to(_M.at)).order_by(_M.at))  # type: ignore[arg-type]
_OF_WALLET = Statement(all_of(report_movements, equals(_M.wallet_id)).order_by(_M.wallet_version))
_ROLLUPS = Statement(
    all_of(report_rollups, equals(_R.series), *_from_to(_R.starts_at)).order_by(_R.starts_at, _R.key)  # type: ignore[arg-type]
)
_NEXT_ROLLUP = Statement(
    select(_R.starts_at)
    .where(equals(_R.series), _R.starts_at >= bindparam("start"))
    .order_by(_R.starts_at)
    .limit(limit())
)
_PUT_ROLLUP = upsert(report_rollups)
_REMOVE_ROLLUPS = Statement(Delete(report_rollups).where(equals(_R.series), *_from_to(_R.starts_at)))  # type: ignore[arg-type]
_ENTRIES = Statement(
    all_of(ledger_entries, equals(_E.wallet_id), _E.wallet_version > bindparam("above_version"))
    .order_by(_E.wallet_version)
    .limit(limit())
)
_WALLETS = Statement(
    select(wallets.c.id).where(wallets.c.id > bindparam("after")).order_by(wallets.c.id).limit(limit())
)
_FIRST = [
    Statement(select(column).where(column >= bindparam("start")).order_by(column).limit(limit()))
    for column in (_I.finished_at, _E.created_at)
]
_COUNT_USERS = Statement(select(func.count()).select_from(users).where(users.c.created_at < bindparam("before")))
_SUM_OF_HOLDS = Statement(select(func.sum(wallets.c.held)))
_CLEAR = [Statement(Delete(each)) for each in (report_notes, report_movements, report_rollups)]
_ADD_MOVEMENT = insert(report_movements)


class SqlReports:
    """Raw rows by time, and roll-ups by series and time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, kind: str, id_: str) -> str | None:
        row = self._connection.one(_NOTE, kind=kind, id=id_)
        return str(row[0]) if row else None

    def ended(self, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        return self._ended(self._connection.stream(_ENDED, start=start, end=end))

    def ended_of(self, user_id: UserId, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        earliest = start - timedelta(seconds=MAX_HOLD_S)
        rows = self._connection.stream(_ENDED_OF, user_id=user_id, start=start, end=end, earliest=earliest)
        return self._ended(rows)

    def _ended(self, rows: Generator[Row, None, None]) -> Generator[EndedInteraction, None, None]:
        for row in rows:
            id_, at, user, key, model, outcome, prompt, completion, charged, latency, first = row
            yield EndedInteraction(
                id=id_,
                at=at,
                user_id=user,
                api_key_id=key,
                model=model,
                outcome=_OUTCOMES[outcome],
                prompt_tokens=prompt,
                completion_tokens=completion,
                credits_charged=charged,
                latency_ms=latency,
                first_token_ms=first,
            )

    def movements(self, start: datetime, end: datetime) -> Generator[CreditMovement, None, None]:
        yield from map(_MOVEMENTS.read, self._connection.stream(_COUNTED, start=start, end=end))

    def movements_of(self, wallet_id: WalletId) -> Generator[CreditMovement, None, None]:
        yield from map(_MOVEMENTS.read, self._connection.stream(_OF_WALLET, wallet_id=wallet_id))

    def rollups(self, series: str, start: datetime, end: datetime) -> Generator[RollUpRow, None, None]:
        for row in self._connection.stream(_ROLLUPS, series=series, start=start, end=end):
            yield RollUpRow(*row)

    def entries(self, wallet_id: WalletId, *, above_version: int, limit: int) -> list[LedgerEntry]:
        rows = self._connection.stream(_ENTRIES, wallet_id=wallet_id, above_version=above_version, limit=limit)
        return list(map(ENTRIES.read, rows))

    def wallets(self, *, after: str, limit: int) -> list[WalletId]:
        return [WalletId(id_) for (id_,) in self._connection.stream(_WALLETS, after=after, limit=limit)]

    def next_activity(self, start: datetime) -> datetime | None:
        found = [self._connection.one(first, start=start, limit=1) for first in _FIRST]
        return min((row[0] for row in found if row), default=None)

    def count_users(self, before: datetime) -> int:
        row = self._connection.one(_COUNT_USERS, before=before)
        return int(row[0]) if row else 0

    def sum_of_holds(self) -> int:
        row = self._connection.one(_SUM_OF_HOLDS)
        return int(row[0] or 0) if row else 0

    def next_rollup(self, series: str, start: datetime) -> datetime | None:
        row = self._connection.one(_NEXT_ROLLUP, series=series, start=start, limit=1)
        return row[0] if row else None

    def lock_note(self, kind: str, id_: str, *, default: str) -> str:
        self._connection.run(_NEW_NOTE, kind=kind, id=id_, body=default)
        row = self._connection.one(_LOCK_NOTE, kind=kind, id=id_)
        return str(row[0]) if row else default

    def put_note(self, kind: str, id_: str, body: str) -> None:
        self._connection.put(_PUT_NOTE, kind=kind, id=id_, body=body)

    def remove_note(self, kind: str, id_: str) -> None:
        self._connection.put(_REMOVE_NOTE, kind=kind, id=id_)

    def add_movement(self, movement: CreditMovement) -> None:
        self._connection.put(_ADD_MOVEMENT, **_MOVEMENTS.values(movement))

    def put_rollup(self, row: RollUpRow) -> None:
        self._connection.put(_PUT_ROLLUP, series=row.series, starts_at=row.starts_at, key=row.key, figures=row.figures)

    def remove_rollups(self, series: str, start: datetime, end: datetime) -> None:
        self._connection.put(_REMOVE_ROLLUPS, series=series, start=start, end=end)

    def clear(self) -> None:
        for statement in _CLEAR:
            self._connection.put(statement)
