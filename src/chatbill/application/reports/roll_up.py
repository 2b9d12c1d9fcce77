"""Roll up: sum what has happened by day, so that a report over a long time reads few rows.

It follows the outbox. In one transaction, a step reads events, counts the entries of their wallets, marks their days as
due, and keeps the position that it has read up to. So a step that is repeated changes nothing, and a crash loses none.
A day that is over is then summed from its raw rows, and its mark is removed unless something new came meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.repositories.reports import ReportReader, RollUpRow
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.application.reports.counting import BATCH as MOST_ENTRIES
from chatbill.application.reports.counting import count_entries
from chatbill.application.reports.series import (
    DUE,
    DUE_MONTHS,
    MONTHLY,
    SERIES,
    in_months,
    summed,
    summed_month,
)
from chatbill.application.reports.short_turns import short_turns
from chatbill.domain.reports.periods import DAY, day_of, month_of, next_month

EVENTS: Final = 200
"""Events that a step reads. A step of 200 keeps other writers of an SQLite file waiting for some milliseconds."""
WALLETS: Final = 50
DAYS: Final = 100
MAX_STEPS: Final = 500
SETTLING: Final = timedelta(minutes=5)
"""How long after its end a day is summed: transactions that began before may still be committed."""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATE: Final = ("state", "roll-up")


@dataclass(frozen=True, slots=True)
class RollUpState:
    """How far the roll-up is: the `position` in the outbox, and what is left of a rebuild.

    A rebuild counts all wallets, of which it has done those up to `wallet`, and marks all days with something in them,
    of which it has done those before `day`. Both are None when it is finished.
    """

    position: str | None = None
    wallet: str | None = ""
    day: str | None = _BEGINNING.isoformat()

    @property
    def is_rebuilding(self) -> bool:
        """True until every row from before the first event was counted."""
        return self.wallet is not None or self.day is not None

    def dumps(self) -> str:
        """Return the state as text."""
        return json.dumps([self.position, self.wallet, self.day])


def state_of(reader: ReportReader) -> RollUpState | None:
    """Return how far the roll-up is; None where it never ran."""
    note = reader.note(*_STATE)
    return None if note is None else RollUpState(*json.loads(note))


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """Bring the roll-ups up to date. Safe to run at any moment, in any number of processes."""

    store: Store
    clock: Clock

    async def __call__(self) -> int:
        """Read what is new and sum the days that are over; return how many days were summed."""
        await self.count()
        ended = day_of(self.clock() - SETTLING)
        due = await self.store.read(lambda snapshot: list(snapshot.reports.rollups(DUE, _BEGINNING, ended)))
        for mark in due:
            await self._sum(mark)
        months = await self.store.read(
            lambda snapshot: list(snapshot.reports.rollups(DUE_MONTHS, _BEGINNING, month_of(ended)))
        )
        for mark in months:
            await self._sum_month(mark)
        return len(due)

    async def count(self) -> bool:
        """Count what has happened, up to a bound; return whether all of it is counted."""
        for _ in range(MAX_STEPS):
            if not await self.store.write(_step):
                return True
        return False

    async def rebuild(self) -> int:
        """Make all roll-ups anew from the raw rows; return how many days were summed."""

        def clear(tx: Transaction) -> None:
            tx.reports.lock_note(*_STATE, default=RollUpState().dumps())
            tx.reports.clear()

        await self.store.write(clear)
        while not await self.count():
            pass
        return await self()

    async def _sum(self, mark: RollUpRow) -> None:
        """Sum a day, in a snapshot, and keep the sums unless something came meanwhile."""
        day = mark.starts_at

        def query(snapshot: Snapshot) -> list[RollUpRow]:
            with short_turns():
                return list(summed(snapshot.reports, day))

        rows = await self.store.read(query)

        def work(tx: Transaction) -> None:
            tx.reports.lock_note(*_STATE, default=RollUpState().dumps())
            if list(tx.reports.rollups(DUE, day, day + DAY)) != [mark]:
                return
            for series in (*SERIES, DUE):
                tx.reports.remove_rollups(series, day, day + DAY)
            for row in (*rows, RollUpRow(DUE_MONTHS, month_of(day), "", mark.figures)):
                tx.reports.put_rollup(row)

        await self.store.write(work)

    async def _sum_month(self, mark: RollUpRow) -> None:
        """Sum a month from its days, and keep the sums unless one of them has changed or has to."""
        month = mark.starts_at

        def query(snapshot: Snapshot) -> list[RollUpRow]:
            with short_turns():
                return list(summed_month(snapshot.reports, month))

        rows = await self.store.read(query)

        def work(tx: Transaction) -> None:
            tx.reports.lock_note(*_STATE, default=RollUpState().dumps())
            due = list(tx.reports.rollups(DUE, month, next_month(month)))
            if due or list(tx.reports.rollups(DUE_MONTHS, month, month + DAY)) != [mark]:
                return
            for series in (*map(in_months, MONTHLY), DUE_MONTHS):
                tx.reports.remove_rollups(series, month, month + DAY)
            for row in rows:
                tx.reports.put_rollup(row)

        await self.store.write(work)


def _step(tx: Transaction) -> int:
    """Do the next part of the work; return whether there may be more, as a number that is not 0."""
    state = RollUpState(*json.loads(tx.reports.lock_note(*_STATE, default=RollUpState().dumps())))
    if state.is_rebuilding:
        tx.reports.put_note(*_STATE, _rebuilt(tx, state).dumps())
        return 1
    events = tx.outbox.after(state.position, EVENTS)
    if not events:
        return 0
    for wallet_id in sorted({recorded.event.wallet_id for recorded in events}):
        while count_entries(tx, wallet_id) == MOST_ENTRIES:
            pass
    last = events[-1].position
    for day in {day_of(recorded.event.at) for recorded in events}:
        tx.reports.put_rollup(RollUpRow(DUE, day, "", last))
    tx.reports.put_note(*_STATE, replace(state, position=last).dumps())
    return len(events)


def _rebuilt(tx: Transaction, state: RollUpState) -> RollUpState:
    """Count the next wallets, or mark the next days; return the state after it."""
    if state.wallet is not None:
        wallets = tx.reports.wallets(after=state.wallet, limit=WALLETS)
        entries = 0
        for wallet_id in wallets:
            counted = count_entries(tx, wallet_id)
            entries += counted
            if counted == MOST_ENTRIES:
                return state  # it has more, and those before it have none
            if entries >= MOST_ENTRIES:
                return replace(state, wallet=wallet_id)
        return replace(state, wallet=wallets[-1] if len(wallets) == WALLETS else None)
    day = datetime.fromisoformat(state.day or "")
    for _ in range(DAYS):
        active = tx.reports.next_activity(day)
        if active is None:
            return replace(state, day=None)
        tx.reports.put_rollup(RollUpRow(DUE, day_of(active), "", "rebuild"))
        day = day_of(active) + DAY
    return replace(state, day=day.isoformat())
