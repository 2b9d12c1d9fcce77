"""Keep billing events in SQL, and return them in an order that no later commit changes."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import Delete, Insert, Select, bindparam, func, literal_column, select, tuple_

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, limit
from chatbill.adapters.persistence.sql.tables import outbox
from chatbill.adapters.persistence.sql.types import Count, CurrentTransaction
from chatbill.domain.billing.events import BillingEvent, RecordedEvent
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.errors import InvalidRequest

_O = outbox.c
_BY_DATABASE = ("position", "transaction_id")
"""Columns that the database fills."""
_SUBJECT = nested("subject", Subject, kind="subject_kind", id="subject_id")
_EVENTS = Mapping(outbox, BillingEvent, _SUBJECT, without=_BY_DATABASE)
_ADD = Statement(
    Insert(outbox).inline(),
    columns=tuple(name for name in outbox.c.keys() if name not in _BY_DATABASE),  # noqa: SIM118
)


def _after(*columns: str) -> Statement:
    """Select events past a position, each with the two numbers that make its own.

    A transaction may be committed after one that began later, although its events have lower positions. So events are
    sorted by transaction, and returned when no older transaction is running.
    """
    query: Select[tuple[object, ...]] = select(*_O.values()).where(_O.transaction_id < CurrentTransaction(oldest=True))
    if columns:
        query = query.where(
            tuple_(_O.transaction_id, _O.position) > tuple_(*(bindparam(each, type_=Count) for each in columns))
        )
    return Statement(query.order_by(_O.transaction_id, _O.position).limit(limit()))


_FIRST, _NEXT = _after(), _after("after_transaction", "after_position")
# In their own order, which is nearly that of time: so no event needs an entry in another index.
_OLDEST = (
    select(_O.position, _O.at)
    .order_by(_O.transaction_id, _O.position)
    .limit(limit())
    # Several processes forget at the same time: each takes what no other has.
    .with_for_update(skip_locked=True)
    .subquery("oldest")
)
_OLD = select(_OLDEST.c.position).where(_OLDEST.c.at < bindparam("before"))
_FORGET = Statement(Delete(outbox).where(_O.position.in_(_OLD)))
_BY_HAND = Statement(
    select(*_O.values())
    .where(
        # Written out, so that the partial index serves.
        _O.kind.in_([literal_column("'refunded'"), literal_column("'adjusted'")]),
        _O.at >= bindparam("since"),
        func.abs(_O.amount) >= bindparam("at_least"),
    )
    .order_by(_O.at.desc())
    .limit(limit())
)
_POSITION = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)
_PLACES = tuple(list(outbox.c.keys()).index(name) for name in ("transaction_id", "position"))


class SqlOutbox:
    """Keeps events. The position of an event has the number of its transaction and its own number."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, event: BillingEvent) -> None:
        self._connection.put(_ADD, **_EVENTS.values(event))

    def after(self, position: str | None, limit: int) -> list[RecordedEvent]:
        if position is None:
            rows = self._connection.stream(_FIRST, limit=limit)
        elif match := _POSITION.fullmatch(position):
            transaction, own = map(int, match.groups())
            rows = self._connection.stream(_NEXT, limit=limit, after_transaction=transaction, after_position=own)
        else:
            raise InvalidRequest.of("after", "unknown_position")
        transaction_at, position_at = _PLACES
        return [RecordedEvent(f"{row[transaction_at]}.{row[position_at]}", _EVENTS.read(row)) for row in rows]

    def by_hand(self, *, since: datetime, at_least: int, limit: int) -> list[BillingEvent]:
        rows = self._connection.stream(_BY_HAND, since=since, at_least=at_least, limit=limit)
        return list(map(_EVENTS.read, rows))

    def forget(self, *, before: datetime, limit: int) -> int:
        return self._connection.run(_FORGET, before=before, limit=limit)
