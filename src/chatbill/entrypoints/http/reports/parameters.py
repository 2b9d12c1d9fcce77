"""Query parameters of reports."""

from __future__ import annotations

from typing import Annotated

from litestar.di import Provide
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.exports import ExportFormat
from chatbill.entrypoints.web.parameters import checked_choice

_WORDS = "A date, which is that day in `tz`, or a moment with its offset (RFC 3339)."


PeriodFrom = Annotated[
    str | None,
    QueryParameter(
        name="from",
        description=f"{_WORDS} Without it, the period has 30 days.",
        examples=[Example(value="2026-01-01")],
    ),
]
PeriodTo = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description=f"{_WORDS} A date is included, a moment is not. Without it, the last day is today.",
        examples=[Example(value="2026-01-31")],
    ),
]
ListFrom = Annotated[
    str | None, QueryParameter(name="from", description=_WORDS, examples=[Example(value="2026-01-01")])
]
ListTo = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description=f"{_WORDS} A date is included, a moment is not.",
        examples=[Example(value="2026-01-31")],
    ),
]
TimeZone = Annotated[
    str | None,
    QueryParameter(
        name="tz",
        description="The time zone of dates, days and hours, by its name in the IANA database. By default, UTC.",
        examples=[Example(value="Europe/Paris")],
    ),
]
Format = Annotated[
    str | None,
    QueryParameter(
        name="format",
        description="`json`, `csv` or `xlsx`. Exports are recorded in the audit trail. In CSV, text that a spreadsheet "
        "might take for a formula has an apostrophe before it, as has text that begins with an apostrophe.",
        schema_extra={"enum": [each.value for each in ExportFormat]},
    ),
]
ListFormat = Annotated[
    str | None,
    QueryParameter(
        name="format",
        description="`json`, `csv` or `xlsx`: a file with everything, without pages. See the reports.",
        schema_extra={"enum": [each.value for each in ExportFormat]},
    ),
]


def provide_period(
    use_cases: Injected[UseCases], start: PeriodFrom = None, end: PeriodTo = None, tz: TimeZone = None
) -> ReportPeriod:
    """Return the period that is asked for."""
    return ReportPeriod.of(start, end, tz, now=use_cases.reports.clock())


def provide_format(form: Format = None) -> ExportFormat:
    """Return the format that is asked for."""
    return checked_choice("format", form, ExportFormat) or ExportFormat.JSON


PERIOD = Provide(provide_period, sync_to_thread=False)
FORMAT = Provide(provide_format, sync_to_thread=False)
