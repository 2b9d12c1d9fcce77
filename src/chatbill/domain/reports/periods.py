"""Periods of reports: their days and moments in a time zone, and the buckets into which a report divides them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import groupby
from typing import Final

from chatbill.domain.accounts.preferences import zone_named
from chatbill.domain.shared.errors import InvalidRequest

MAX_ROWS: Final = 10_000
"""The most rows of a report."""
DEFAULT_DAYS: Final = 30
DAY: Final = timedelta(days=1)
QUARTER: Final = timedelta(minutes=15)
"""The resolution of roll-ups: since 1972, all time zones differ from UTC by multiples of 15 minutes."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# In a query, "+" is decoded as a blank. A client that did not write %2B means the sign of the offset.
_LOST_PLUS: Final = re.compile(r"(?<=[\d]) (\d\d:\d\d)$", re.ASCII)


class Bucket(StrEnum):
    """The units of time by which a report can be divided."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """The time from `start` (included) to `end` (excluded), both in UTC. Its days are those of `zone`."""

    start: datetime
    end: datetime
    zone: tzinfo

    @classmethod
    def of(cls, start: str | None, end: str | None, tz: str | None, *, now: datetime) -> ReportPeriod:
        """Return the period between two dates or moments as people write them.

        A date, such as `2026-01-31`, is a whole day in the time zone `tz` (an IANA name; None is UTC): the period
        begins or ends with that day. A moment (RFC 3339, with its offset) is exact. Without an end, the last day is
        today. Without a start, the period has `DEFAULT_DAYS` days. Raises `InvalidRequest`, which names the field:
        `from`, `to` or `tz`.
        """
        zone = zone_of(tz)
        today = midnight(now.astimezone(zone).date() + DAY, zone)
        ends = today if end is None else _moment("to", end, zone, days=1)
        if start is None:
            # No start is before `_FIRST`; an end so early is refused below.
            last = (max(ends, _FIRST + (DEFAULT_DAYS + 2) * DAY) - timedelta(microseconds=1)).astimezone(zone).date()
            starts = midnight(last - (DEFAULT_DAYS - 1) * DAY, zone)
        else:
            starts = _moment("from", start, zone, days=0)
        if starts >= ends:
            raise InvalidRequest.of("to", "not_after_from")
        return cls(starts, ends, zone)

    def buckets(self, by: Bucket) -> list[TimeBucket]:
        """Return the hours, days or months of the period in order; the first and the last may be shorter.

        Raises `InvalidRequest` if there are more than `MAX_ROWS`.
        """
        found: list[TimeBucket] = []
        for bucket in self._hours() if by is Bucket.HOUR else self._days(by):
            if len(found) == MAX_ROWS:
                raise InvalidRequest.of("from", "too_many_rows", max=MAX_ROWS)
            found.append(bucket)
        return found

    def _days(self, by: Bucket) -> Iterator[TimeBucket]:
        day = self.start.astimezone(self.zone).date()
        if by is Bucket.MONTH:
            day = day.replace(day=1)
        starts = self.start
        while starts < self.end:
            following = day + DAY if by is Bucket.DAY else (day.replace(day=28) + 4 * DAY).replace(day=1)
            ends = min(midnight(following, self.zone), self.end)
            if starts < ends:  # a zone that crosses the date line may skip a day
                yield TimeBucket(day.isoformat()[: 7 if by is Bucket.MONTH else 10], starts, ends)
            day, starts = following, max(starts, ends)

    def _hours(self) -> Iterator[TimeBucket]:
        """Yield the hours of local time. When clocks go back, one hour comes twice, with two offsets."""
        for name, quarters in groupby(self._quarters(), self._hour):
            found = list(quarters)
            yield TimeBucket(name, found[0], min(_next_quarter(found[-1]), self.end))

    def _quarters(self) -> Iterator[datetime]:
        at = self.start
        while at < self.end:
            yield at
            at = _next_quarter(at)

    def _hour(self, at: datetime) -> str:
        return at.astimezone(self.zone).replace(minute=0, second=0, microsecond=0).isoformat()


@dataclass(frozen=True, slots=True)
class TimeBucket:
    """One row of a report by time: an hour, a day or a month, from `start` (included) to `end` (excluded), in UTC.

    `key` is the local time at its beginning: `2026-01-31T14:00:00+01:00`, `2026-01-31` or `2026-01`.
    """

    key: str
    start: datetime
    end: datetime


def moments_of(start: str | None, end: str | None, tz: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the start and the end of a period; None for one that is not given.

    Dates, moments and errors are as in `ReportPeriod.of`, but the start may be after the end.
    """
    zone = zone_of(tz)
    return (
        None if start is None else _moment("from", start, zone, days=0),
        None if end is None else _moment("to", end, zone, days=1),
    )


def bucket_at(starts: list[datetime], at: datetime) -> int:
    """Return the index of the bucket that contains a moment, from the sorted starts of all buckets."""
    return bisect_right(starts, at) - 1


def zone_of(name: str | None) -> tzinfo:
    """Return the time zone of an IANA name; UTC for None. Raises `InvalidRequest`."""
    if name is None or name == "UTC":
        return UTC
    # Zones of "right/" count leap seconds, so their days begin at no quarter of an hour; "posix/" repeats the others.
    zone = None if name.startswith(("right/", "posix/")) else zone_named(name)
    if zone is None:
        raise InvalidRequest.of("tz", "unknown_zone")
    return zone


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the moment in UTC at which a day begins in a zone. Where clocks skip midnight, it begins after the gap."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_of(at: datetime) -> datetime:
    """Return the beginning of the day in UTC that contains a moment in UTC."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(at: datetime) -> datetime:
    """Return the beginning of the month in UTC that contains a moment in UTC."""
    return day_of(at).replace(day=1)


def next_month(at: datetime) -> datetime:
    """Return the beginning of the month after the one that contains a moment. Months are those of UTC."""
    return month_of(month_of(at) + 31 * DAY)


def quarter_of(at: datetime) -> datetime:
    """Return the beginning of the quarter of an hour that contains a moment."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def _next_quarter(at: datetime) -> datetime:
    return quarter_of(at) + QUARTER


_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def _moment(field: str, text: str, zone: tzinfo, *, days: int) -> datetime:
    """Return the moment that a text names, in UTC. For a date it is the beginning of the day `days` later.

    Raises `InvalidRequest` for the field, also for moments outside `_FIRST` to `_LAST`.
    """
    try:
        if _DATE.fullmatch(text):
            moment = midnight(date.fromisoformat(text) + days * DAY, zone)
        else:
            moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
            if moment.tzinfo is None:
                raise InvalidRequest.of(field, "not_a_date_or_moment")
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest.of(field, "not_a_date_or_moment") from error
    if not _FIRST <= moment <= _LAST:
        raise InvalidRequest.of(field, "not_a_date_or_moment")
    return moment
