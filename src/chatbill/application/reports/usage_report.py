"""The usage report: requests, tokens, credits and times, by model, person, key, day, hour or outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from chatbill.application.ports.repositories.reports import ReportReader
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.reports.reading import Keys, usage_sums
from chatbill.application.reports.roll_up import RollUp
from chatbill.application.reports.series import USAGE, USAGE_BY_KEY, USAGE_BY_MODEL, USAGE_BY_USER
from chatbill.application.reports.short_turns import short_turns
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.reports.periods import Bucket, ReportPeriod, bucket_at
from chatbill.domain.reports.usage import EndedInteraction, UsageFigures, UsageSummary
from chatbill.domain.shared.ids import UserId

R = TypeVar("R")


class UsageGroup(StrEnum):
    """What the rows of a usage report stand for."""

    MODEL = "model"
    USER = "user"
    API_KEY = "api_key"
    DAY = "day"
    HOUR = "hour"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class ReportRow(Generic[R]):
    """The figures of one key. `key` is None for what has none, and `name` is what people know the key by."""

    key: str | None
    figures: R
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Report(Generic[R]):
    """The rows of a report by their key, and all of them together."""

    period: ReportPeriod
    group_by: str
    rows: list[ReportRow[R]]
    total: R


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Report the use of a period. An interaction belongs to the period in which it ended."""

    store: Store
    roll_up: RollUp

    async def __call__(self, principal: Principal, period: ReportPeriod, group_by: UsageGroup) -> Report[UsageSummary]:
        """Return the report, with names of people only for those who may see people. Raises `Forbidden`."""
        require_permission(principal, Permission.READ_USE)
        return await self.read(period, group_by, named=Permission.READ_PEOPLE in permissions_of(principal.role))

    async def read(self, period: ReportPeriod, group_by: UsageGroup, *, named: bool) -> Report[UsageSummary]:
        """Return the report without asking who wants it."""
        await self.roll_up.count()
        return await self.store.read(lambda snapshot: _report(snapshot, period, group_by, named=named))


@short_turns()
def _report(snapshot: Snapshot, period: ReportPeriod, group_by: UsageGroup, *, named: bool) -> Report[UsageSummary]:
    if group_by in {UsageGroup.DAY, UsageGroup.HOUR}:
        rows = _by_time(snapshot.reports, period, Bucket(group_by.value))
    else:
        rows = _by_key(snapshot.reports, period, group_by)
    if named and group_by is UsageGroup.USER:
        rows = [ReportRow(row.key, row.figures, name_of(snapshot, row.key)) for row in rows]
    return Report(period, group_by.value, rows, _total(snapshot.reports, period))


def name_of(snapshot: Snapshot, user_id: str | None) -> str | None:
    """Return the username of a user; None where there is none."""
    user = None if user_id is None else snapshot.users.get(UserId(user_id))
    return user.username if user else None


def _total(reader: ReportReader, period: ReportPeriod) -> UsageSummary:
    """Return all rows together, from the series with the fewest keys."""
    keys: Keys[EndedInteraction, None] = Keys(
        series=USAGE_BY_MODEL, of_raw=lambda _ended: None, of_rolled=lambda _at, _key: None
    )
    sums = dict(usage_sums(reader, period.start, period.end, keys))
    return sums.get(None, UsageFigures()).summary()


def _by_time(reader: ReportReader, period: ReportPeriod, bucket: Bucket) -> list[ReportRow[UsageSummary]]:
    buckets = period.buckets(bucket)
    starts = [each.start for each in buckets]
    keys: Keys[EndedInteraction, int] = Keys(
        series=USAGE,
        of_raw=lambda ended: bucket_at(starts, ended.at),
        of_rolled=lambda at, _key: bucket_at(starts, at),
        by_time=True,
    )
    nothing = UsageFigures().summary()
    rows = [ReportRow(each.key, nothing) for each in buckets]
    for number, figures in usage_sums(reader, period.start, period.end, keys):
        rows[number] = ReportRow(buckets[number].key, figures.summary())
    return rows


def _by_key(reader: ReportReader, period: ReportPeriod, group_by: UsageGroup) -> list[ReportRow[UsageSummary]]:
    of_raw, series, of_key = _WAYS[group_by]
    keys = Keys(series=series, of_raw=of_raw, of_rolled=lambda _at, key: of_key(key))
    sums = usage_sums(reader, period.start, period.end, keys)
    rows = [ReportRow(key or None, figures.summary()) for key, figures in sums]
    return sorted(rows, key=lambda row: row.key or "")


_WAYS: dict[UsageGroup, tuple[Callable[[EndedInteraction], str], str, Callable[[str], str]]] = {
    UsageGroup.MODEL: (lambda ended: ended.model, USAGE_BY_MODEL, lambda key: key.partition(" ")[2]),
    UsageGroup.OUTCOME: (lambda ended: ended.outcome.value, USAGE_BY_MODEL, lambda key: key.partition(" ")[0]),
    UsageGroup.USER: (lambda ended: ended.user_id, USAGE_BY_USER, str),
    UsageGroup.API_KEY: (lambda ended: ended.api_key_id or "", USAGE_BY_KEY, str),
}
"""For each group: the key of a raw row, the series, and the key of one of its roll-ups."""
