"""Jobs in SQL. A claim is a row that is locked, and then changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache

from sqlalchemy import Delete, bindparam, func, literal_column, or_, select

from chatbill.adapters.persistence.mapping import Mapping as RowMapping
from chatbill.adapters.persistence.mapping import Part
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import (
    Among,
    Statement,
    all_of,
    equals,
    insert_if_new,
    limit,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import jobs
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.jobs.jobs import Job, Parameters
from chatbill.domain.shared.errors import AlreadySettled
from chatbill.domain.shared.ids import JobId

_J = jobs.c


def _dumps(parameters: Parameters) -> tuple[str]:
    return (json.dumps(dict(parameters), separators=(",", ":")),)


_JOBS = RowMapping(jobs, Job, Part("parameters", ("parameters",), json.loads, _dumps))
# Written out, so that the partial indexes serve.
_UNFINISHED = _J.state.in_([literal_column("'queued'"), literal_column("'running'")])
_IS_DONE = _J.state == literal_column("'done'")
_GET = Statement(all_of(jobs, equals(_J.id)))
_ADD = insert_if_new(jobs)
_IS_DUE = (_UNFINISHED, _J.due_at <= bindparam("now"))
_ORDER = (_J.due_at, _J.id)
_LOCK_DUE = Statement(
    all_of(jobs, *_IS_DUE, Among(_J.kind)).order_by(*_ORDER).limit(limit()).with_for_update(skip_locked=True)
)
_FIRST_DUE = Statement(select(_J.due_at).where(*_IS_DUE, Among(_J.kind)).order_by(*_ORDER).limit(limit()))
_FIRST_OF_ANY = Statement(select(_J.due_at).where(*_IS_DUE).order_by(*_ORDER).limit(limit()))
_SAVE = update(
    jobs,
    *_JOBS.changing,
    where=(
        equals(_J.id),
        or_(_J.claim == bindparam("held"), _J.claim.is_(None) & (bindparam("held") == literal_column("''"))),
    ),
)
_COUNTS = Statement(
    select(_J.kind, _J.state, func.count()).where(_J.state != literal_column("'done'")).group_by(_J.kind, _J.state)
)
_OLD = (
    select(_J.id)
    .where(_IS_DONE, _J.finished_at < bindparam("finished_before"))
    .order_by(_J.finished_at)
    .limit(limit())
    # Several processes forget at the same time: each takes what no other has.
    .with_for_update(skip_locked=True)
)
_FORGET = Statement(Delete(jobs).where(_J.id.in_(_OLD)))


@cache
def _newest(filters: frozenset[str]) -> Statement:
    query = all_of(jobs)
    for column in (_J.kind, _J.state):
        if column.name in filters:
            query = query.where(equals(column))
    if "after_at" in filters:
        query = query.where(past(_J.created_at, _J.id))
    return Statement(query.order_by(_J.created_at.desc(), _J.id.desc()).limit(limit()))


class SqlJobs:
    """Jobs by id, and one of each kind and period."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, job_id: JobId) -> Job | None:
        return _JOBS.one(self._connection.one(_GET, id=job_id))

    def newest(self, filters: JobFilter, *, after: Position | None, limit: int) -> list[Job]:
        wanted = {
            "kind": filters.kind,
            "state": filters.state and filters.state.value,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self._connection.stream(_newest(frozenset(given)), limit=limit, **given)
        return list(map(_JOBS.read, rows))

    def counts(self) -> Mapping[tuple[str, str], int]:
        return {(kind, state): count for kind, state, count in self._connection.stream(_COUNTS)}

    def first_due(self, kinds: Collection[str] | None, now: datetime) -> datetime | None:
        if kinds is None:
            row = self._connection.one(_FIRST_OF_ANY, now=now, limit=1)
        else:
            row = self._connection.one(_FIRST_DUE, among=json.dumps(sorted(kinds)), now=now, limit=1)
        return None if row is None else row[0]

    def add(self, job: Job) -> bool:
        return self._connection.run(_ADD, **_JOBS.values(job)) == 1

    def lock_due(self, kinds: Collection[str], now: datetime) -> Job | None:
        return _JOBS.one(self._connection.one(_LOCK_DUE, among=json.dumps(sorted(kinds)), now=now, limit=1))

    def save(self, job: Job, *, claim: str | None) -> None:
        self._connection.put(
            _SAVE,
            **_JOBS.changes(job),
            held=claim or "",
            or_else=lambda: AlreadySettled(f"job {job.id} was taken over"),
        )

    def forget(self, *, finished_before: datetime, limit: int) -> int:
        return self._connection.run(_FORGET, finished_before=finished_before, limit=limit)
