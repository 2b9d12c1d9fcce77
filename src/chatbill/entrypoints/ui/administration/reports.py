"""Reports of use and of money over any period, as plots, tables and files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import Report, UsageGroup
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.domain.shared.audit_trail import Facts
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, own_zone, show
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.plots import bars
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.web.exports import ExportFormat, table
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.parameters import checked_choice
from chatbill.entrypoints.web.report_rows import (
    CreditsRow,
    UsageRow,
    credits_columns,
    credits_rows,
    usage_columns,
    usage_rows,
)
from chatbill.entrypoints.web.tables import Columns

FILTERS: Final = ("from", "to", "tz", "group_by")
USE_GROUPS: Final = {
    "model": N_("Model"),
    "user": N_("Person"),
    "api_key": N_("API key"),
    "day": N_("Day"),
    "hour": N_("Hour"),
    "outcome": N_("Outcome"),
}
MONEY_GROUPS: Final = {"day": N_("Day"), "month": N_("Month"), "user": N_("Person"), "model": N_("Model")}
TIMES: Final = frozenset({"day", "hour", "month"})
MOST_SHOWN: Final = 500
"""More rows are in the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKind:
    """A report: its section and its file, its groups with their names, and how its rows are made and drawn."""

    section: str
    file: str
    permission: Permission
    read: Callable[..., Awaitable[Report[Any]]]
    groups: Mapping[str, str]
    group: type[UsageGroup | FinancialGroup]
    first_group: UsageGroup | FinancialGroup
    rows: Callable[[Any], list[Any]]
    total: Callable[[Any], Any]
    columns: Callable[[list[Any]], Columns[Any]]
    drawn: str
    """The figure of a row that the plot shows."""


def report_views(site: Site) -> None:
    """Add the views and their files."""
    reports = site.use_cases.reports
    use = ReportKind(
        section="use",
        file="usage",
        permission=Permission.READ_USE,
        read=reports.usage,
        groups=USE_GROUPS,
        group=UsageGroup,
        first_group=UsageGroup.MODEL,
        rows=usage_rows,
        total=UsageRow.of,
        columns=usage_columns,
        drawn="requests",
    )
    money = ReportKind(
        section="money",
        file="financial",
        permission=Permission.READ_MONEY,
        read=reports.financial,
        groups=MONEY_GROUPS,
        group=FinancialGroup,
        first_group=FinancialGroup.DAY,
        rows=credits_rows,
        total=CreditsRow.of,
        columns=credits_columns,
        drawn="charged",
    )
    for kind in (use, money):
        _add(site, kind)


def _add(site: Site, kind: ReportKind) -> None:
    reports = site.use_cases.reports

    async def read(visit: Visit) -> tuple[dict[str, str], ReportPeriod, str, Report[Any]]:
        found = asked(visit, *FILTERS)
        zone = found.get("tz") or own_zone(visit)
        period = ReportPeriod.of(found.get("from"), found.get("to"), zone, now=reports.clock())
        group = checked_choice("group_by", found.get("group_by"), kind.group) or kind.first_group
        return found, period, group.value, await kind.read(visit.principal, period, group)

    async def view(visit: Visit) -> Response:
        found, period, group, report = await read(visit)
        rows = kind.rows(report)
        drawn = [(f"{row.key}: {getattr(row, kind.drawn)}", getattr(row, kind.drawn)) for row in rows]
        shown, days = rows[:MOST_SHOWN], _days(visit, period)
        return show(
            visit,
            kind.section,
            f"{kind.section}.html",
            asked=found,
            group=group,
            groups=kind.groups,
            plot=bars(drawn) if group in TIMES else None,
            rows=shown,
            left=len(rows) - MOST_SHOWN,
            total=kind.total(report.total),
            links={row.key: _link(kind.section, group, row.key, days) for row in shown},
        )

    async def file(visit: Visit) -> Response:
        """Record the export, then send it."""
        form = checked_choice("format", visit.asked("format", "csv"), ExportFormat) or ExportFormat.CSV
        _found, period, group, report = await read(visit)
        rows = kind.rows(report)
        facts: Facts = {
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            "group_by": group,
            "format": form.value,
            "rows": len(rows),
        }
        await reports.record_export(visit.principal, kind.file, facts)
        return FileAnswer(await table(kind.file, form, kind.columns(rows), rows))

    site.view(f"{HOME}/{kind.section}", view, kind.permission)
    site.get(f"{ACTIONS}/{kind.section}/file", file, kind.permission)


def _days(visit: Visit, period: ReportPeriod) -> tuple[str, str] | None:
    """Return the first and the last day of a period; None for days of another time zone, which lists do not have."""
    if str(period.zone) != own_zone(visit):
        return None
    last = period.end - timedelta(microseconds=1)
    return period.start.astimezone(period.zone).date().isoformat(), last.astimezone(period.zone).date().isoformat()


def _link(name: str, group: str, key: str | None, days: tuple[str, str] | None) -> str | None:
    """Return the address of what is behind the figures of a row; None where no list selects it."""
    if days is None or not key:
        return None
    wanted = {"from": days[0], "to": days[1]}
    if group == "day":
        wanted = {"from": key, "to": key}
    elif group in {"model", "user", "outcome"}:
        wanted[group] = key
    else:
        return None
    return f"{HOME}/{'requests' if name == 'use' else 'ledger'}?{urlencode(wanted)}"
