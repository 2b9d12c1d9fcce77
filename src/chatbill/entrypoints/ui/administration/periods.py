"""The period of a report: its days, and how it and its rows are named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from babel import dates

from chatbill.domain.reports.periods import DAY, ReportPeriod, midnight
from chatbill.entrypoints.web.language import current
from chatbill.entrypoints.web.language import gettext as _


def days_of(period: ReportPeriod) -> tuple[date, date]:
    """Return the first and the last day of a period in its time zone."""
    last = period.end - timedelta(microseconds=1)
    return period.start.astimezone(period.zone).date(), last.astimezone(period.zone).date()


def period_text(period: ReportPeriod) -> str:
    """Return text such as "Oct 30, 2026 to Nov 28, 2026, Europe/Moscow"; moments where days are not whole."""
    first, last = days_of(period)
    language = replace(current(), zone=period.zone)
    if (period.start, period.end) != (midnight(first, period.zone), midnight(last + DAY, period.zone)):
        starts, ends = language.moment(period.start), language.moment(period.end)
    else:
        starts, ends = language.day(first), language.day(last)
    days = starts if starts == ends else _("{first} to {last}").format(first=starts, last=ends)
    return f"{days}, {period.zone}"


def time_text(group: str, key: str) -> str:
    """Return the name of a day or a month. An hour is named by its key, which has the offset of its clock."""
    if group == "day":
        return current().day(date.fromisoformat(key))
    if group == "month":
        return dates.format_skeleton("yMMMM", date.fromisoformat(f"{key}-01"), locale=current().locale)
    return key
