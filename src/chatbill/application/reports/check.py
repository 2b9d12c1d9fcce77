"""Check the roll-ups: compare what was counted with the rows from which it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain

from chatbill.application.ports.repositories.reports import ReportReader
from chatbill.application.ports.store import Snapshot
from chatbill.application.reports.counting import BATCH, counted_to, replayed
from chatbill.application.reports.roll_up import SETTLING, state_of
from chatbill.application.reports.series import DUE, DUE_MONTHS, MONTHLY, SERIES, in_months, summed, summed_month
from chatbill.domain.audit.rules import Difference
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.lots import Lots, Spent
from chatbill.domain.reports.finance import CreditMovement
from chatbill.domain.reports.periods import DAY, day_of, month_of, next_month
from chatbill.domain.shared.ids import HoldId, WalletId

RULE = "roll_up"
_BEGINNING, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_WALLETS = 500


def check_roll_ups(snapshot: Snapshot, *, now: datetime) -> Iterator[Difference]:
    """Yield every difference. What was not counted or summed yet is none."""
    state = state_of(snapshot.reports)
    if state is None or state.is_rebuilding:
        return
    for wallet_id in _wallets(snapshot.reports):
        yield from _check_wallet(snapshot, wallet_id)
    due = {mark.starts_at for mark in snapshot.reports.rollups(DUE, _BEGINNING, _END)}
    position = state.position
    while unread := snapshot.outbox.after(position, BATCH):
        due |= {day_of(recorded.event.at) for recorded in unread}
        position = unread[-1].position
    before = day_of(now - SETTLING)
    yield from _check_days(snapshot.reports, due, before=before)
    yield from _check_months(snapshot.reports, due, before=before)


def _wallets(reader: ReportReader) -> Iterator[WalletId]:
    after = ""
    while found := reader.wallets(after=after, limit=_WALLETS):
        yield from found
        after = found[-1]


class _Remembered(dict[HoldId, Spent]):
    """Remembers what charges have spent, in memory."""

    def of(self, hold_id: HoldId) -> Spent:
        """Return what is left of it."""
        return self.get(hold_id, ())

    def keep(self, hold_id: HoldId, spent: Spent) -> None:
        """Remember it."""
        self[hold_id] = spent


def _check_wallet(snapshot: Snapshot, wallet_id: WalletId) -> Iterator[Difference]:
    last, stored_lots = counted_to(snapshot.reports, wallet_id)
    lots = Lots()
    entries = (entry for entry in _entries(snapshot.reports, wallet_id) if entry.wallet_version <= last)
    with closing(snapshot.reports.movements_of(wallet_id)) as counted:
        for movement, after in replayed(snapshot, entries, lots, _Remembered()):
            lots = after
            found = next(counted, None)
            if found is None or _text(found) != _text(movement):
                subject = f"entry {movement.wallet_version} of wallet {wallet_id}"
                yield Difference(RULE, subject, f"was counted as {found and _text(found)}; it is {_text(movement)}")
                return
        if (extra := next(counted, None)) is not None:
            yield Difference(RULE, f"wallet {wallet_id}", f"has no entry {extra.wallet_version}, which was counted")
        elif lots != stored_lots:
            detail = f"is kept with {stored_lots.dumps()}; its entries say {lots.dumps()}"
            yield Difference(RULE, f"wallet {wallet_id}", detail)


def _entries(reader: ReportReader, wallet_id: WalletId) -> Iterator[LedgerEntry]:
    version = 0
    while found := reader.entries(wallet_id, above_version=version, limit=BATCH):
        yield from found
        version = found[-1].wallet_version


def _text(movement: CreditMovement) -> str:
    return f"{movement.at.isoformat()} {movement.model} {movement.figures.dumps()}"


def _check_days(reader: ReportReader, due: set[datetime], *, before: datetime) -> Iterator[Difference]:
    """Compare the sums of each day that is not due with its raw rows, one day at a time."""
    day = _next_day(reader, _BEGINNING)
    while day is not None and day < before:
        if day not in due:
            stored = {
                (row.series, row.starts_at, row.key): row.figures
                for row in chain.from_iterable(reader.rollups(series, day, day + DAY) for series in SERIES)
            }
            raw = {(row.series, row.starts_at, row.key): row.figures for row in summed(reader, day)}
            yield from _compare(stored, raw)
        day = _next_day(reader, day + DAY)


def _check_months(reader: ReportReader, due: set[datetime], *, before: datetime) -> Iterator[Difference]:
    """Compare the sums of each month with those of its days."""
    due = {month_of(day) for day in due} | {mark.starts_at for mark in reader.rollups(DUE_MONTHS, _BEGINNING, _END)}
    names = [*MONTHLY, *map(in_months, MONTHLY)]
    month = _next_month_of(reader, names, _BEGINNING)
    while month is not None and next_month(month) <= before:
        if month not in due:
            kept = chain.from_iterable(reader.rollups(in_months(each), month, month + DAY) for each in MONTHLY)
            stored = {(row.series, row.starts_at, row.key): row.figures for row in kept}
            summed_up = {(row.series, row.starts_at, row.key): row.figures for row in summed_month(reader, month)}
            yield from _compare(stored, summed_up)
        month = _next_month_of(reader, names, next_month(month))


Sums = dict[tuple[str, datetime, str], str]


def _compare(stored: Sums, made: Sums) -> Iterator[Difference]:
    for place in sorted({*stored, *made}):
        if stored.get(place) != made.get(place):
            series, starts_at, key = place
            detail = f"says {stored.get(place)}; its rows say {made.get(place)}"
            yield Difference(RULE, f"roll-up {series} {key} of {starts_at.isoformat()}", detail)


def _next_month_of(reader: ReportReader, names: list[str], start: datetime) -> datetime | None:
    found = [reader.next_rollup(name, start) for name in names]
    return min((month_of(each) for each in found if each is not None), default=None)


def _next_day(reader: ReportReader, start: datetime) -> datetime | None:
    """Return the first day from `start` on that has raw rows or roll-ups."""
    found = [reader.next_activity(start), *(reader.next_rollup(series, start) for series in SERIES)]
    return min((day_of(each) for each in found if each is not None), default=None)
