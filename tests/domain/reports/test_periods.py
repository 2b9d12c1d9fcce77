"""Periods of reports: dates in any time zone, days of 23 and 25 hours, and bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.reports.periods import Bucket, ReportPeriod, next_month
from chatbill.domain.shared.errors import InvalidRequest

NOW = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham")


def period(start: str | None = None, end: str | None = None, tz: str | None = None) -> ReportPeriod:
    return ReportPeriod.of(start, end, tz, now=NOW)


def hours(found: ReportPeriod) -> float:
    return (found.end - found.start) / timedelta(hours=1)


def test_a_date_is_that_day_in_the_time_zone_and_the_last_one_is_included() -> None:
    found = period("2026-01-31", "2026-01-31", "Asia/Kathmandu")
    assert found.start == datetime(2026, 1, 30, 18, 15, tzinfo=UTC)
    assert hours(found) == 24


def test_a_moment_is_exact_and_as_the_end_left_out() -> None:
    found = period("2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00.5Z")
    assert (found.start, found.end) == (
        datetime(2026, 1, 31, 10, tzinfo=UTC),
        datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC),
    )
    assert period("2026-01-31T12:00:00 02:00").start == found.start, "a plus sign that a query has lost"


@pytest.mark.parametrize(("day", "long"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_on_which_clocks_change_have_23_and_25_hours(day: str, long: int) -> None:
    found = period(day, day, "Europe/Paris")
    assert hours(found) == long
    assert [each.key for each in found.buckets(Bucket.DAY)] == [day]
    clock = [each.key for each in found.buckets(Bucket.HOUR)]
    assert len(clock) == len(set(clock)) == long


def test_an_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    clock = [each.key for each in period("2026-10-25", "2026-10-25", "Europe/Paris").buckets(Bucket.HOUR)]
    assert clock[2:4] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_a_day_that_a_zone_has_left_out_is_no_row() -> None:
    found = period("2011-12-29", "2011-12-31", "Pacific/Apia")
    assert [each.key for each in found.buckets(Bucket.DAY)] == ["2011-12-29", "2011-12-31"]


def test_a_day_without_midnight_begins_with_its_first_moment() -> None:
    found = period("2026-03-28", "2026-03-29", "Asia/Beirut")
    assert [(each.end - each.start) / timedelta(hours=1) for each in found.buckets(Bucket.DAY)] == [24, 23]


def test_months_are_cut_by_the_period() -> None:
    found = period("2026-01-30", "2026-03-01").buckets(Bucket.MONTH)
    assert [each.key for each in found] == ["2026-01", "2026-02", "2026-03"]
    assert [(each.end - each.start).days for each in found] == [2, 28, 1]


def test_without_dates_it_is_the_last_30_days_with_today() -> None:
    found = period(tz="Europe/Paris")
    assert (found.start, found.end) == (
        datetime(2026, 10, 28, 23, tzinfo=UTC),
        datetime(2026, 11, 27, 23, tzinfo=UTC),
    )
    assert len(found.buckets(Bucket.DAY)) == 30


@pytest.mark.parametrize(
    ("arguments", "field", "code"),
    [
        (("2026-13-01", None, None), "from", "not_a_date_or_moment"),
        (("2026-01-31T12:00:00", None, None), "from", "not_a_date_or_moment"),
        ((None, "yesterday", None), "to", "not_a_date_or_moment"),
        (("0001-01-01", None, "Asia/Tokyo"), "from", "not_a_date_or_moment"),
        ((None, "9999-12-31", None), "to", "not_a_date_or_moment"),
        (("2026-02-01", "2026-01-31", None), "to", "not_after_from"),
        ((None, None, "Mars/Olympus"), "tz", "unknown_zone"),
        ((None, None, "../../etc/passwd"), "tz", "unknown_zone"),
        ((None, None, "Europe"), "tz", "unknown_zone"),
        ((None, None, "right/UTC"), "tz", "unknown_zone"),
        ((None, None, "a\x00b"), "tz", "unknown_zone"),
        ((None, None, ""), "tz", "unknown_zone"),
    ],
)
def test_what_is_no_period_is_refused_with_the_field_and_the_rule(
    arguments: tuple[str | None, str | None, str | None], field: str, code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        period(*arguments)
    assert [(each.field, each.description.code) for each in refused.value.errors] == [(field, code)]


def test_too_many_rows_are_refused() -> None:
    assert len(period("2025-01-01", "2025-12-31").buckets(Bucket.HOUR)) == 8_760
    with pytest.raises(InvalidRequest) as refused:
        period("2024-01-01", "2025-12-31").buckets(Bucket.HOUR)
    assert refused.value.errors[0].description.code == "too_many_rows"


@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2025, 12, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as asked
    length=st.integers(1, 4 * 86_400),
    bucket=st.sampled_from(Bucket),
)
def test_buckets_cover_the_period_without_a_gap_and_name_their_local_time(
    zone: str, start: datetime, length: int, bucket: Bucket
) -> None:
    found = ReportPeriod(start, start + timedelta(seconds=length), ZoneInfo(zone))
    buckets = found.buckets(bucket)
    assert (buckets[0].start, buckets[-1].end) == (found.start, found.end)
    assert all(left.end == right.start for left, right in pairwise(buckets))
    assert len({each.key for each in buckets}) == len(buckets)
    for each in buckets:
        for moment in (each.start, each.end - timedelta(microseconds=1)):
            assert (
                moment.astimezone(ZoneInfo(zone))
                .isoformat()
                .startswith(each.key[: 13 if bucket is Bucket.HOUR else 10])
            )


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - Hypothesis asks for it
def test_the_next_month_begins_after_any_moment_of_a_month(at: datetime) -> None:
    begins = next_month(at)
    assert (begins.day, begins.hour, begins.minute) == (1, 0, 0)
    assert begins.month == at.month % 12 + 1
    assert at < begins <= at + timedelta(days=31)
