"""Response bodies of reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from litestar.response.base import ASGIResponse
from litestar.serialization import encode_json

from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.web.report_rows import CreditsRow, UsageRow


def answer(view: object) -> ASGIResponse:
    """Return a JSON answer, of a handler that can also answer with a file."""
    return ASGIResponse(body=encode_json(view), media_type="application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodView:
    """The moments from `start` (included) to `end` (left out), and the time zone that names days."""

    start: datetime
    end: datetime
    tz: str

    @classmethod
    def of(cls, period: ReportPeriod) -> PeriodView:
        """Return the view of a period."""
        return cls(start=period.start, end=period.end, tz=str(period.zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReportView:
    """The use of a period. `key` of the total is null, and so is that of requests without an API key."""

    period: PeriodView
    group_by: str
    rows: list[UsageRow]
    total: UsageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class FinancialReportView:
    """The credits and the money of a period.

    By model, a row says what its replies have taken from people: its opening and closing are as much below zero, and
    all that is not for a reply is in the row whose key is null. So the rows of every grouping add up to the total.
    """

    period: PeriodView
    group_by: str
    rows: list[CreditsRow]
    total: CreditsRow
