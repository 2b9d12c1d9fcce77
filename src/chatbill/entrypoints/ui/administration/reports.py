"""Reports of use and of money over any period, as plots, tables and files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import Report, UsageGroup
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.domain.shared.audit_trail import Facts
from chatbill.entrypoints.ui.administration.periods import days_of, period_text, time_text
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, form_asked, own_zone, show
from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.plots import bars
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shared.words import names_of_models, outcomes
from chatbill.entrypoints.web.exports import table
from chatbill.entrypoints.web.language import N_, current
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

    async def view(visit: Visit) -> Response:
        found, period, group, report = await _read(kind, visit, reports.clock())
        rows, days = kind.rows(report), days_of(period)
        listed = days if str(period.zone) == own_zone(visit) else None
        labels = _labels(rows, group, names_of_models(site.use_cases))
        drawn = [(labels[row.key], getattr(row, kind.drawn)) for row in rows]
        plot = bars([(f"{label}: {current().number(value)}", value) for label, value in drawn])
        shown = (rows[::-1] if group in TIMES else rows)[:MOST_SHOWN]
        return show(
            visit, kind.section, f"{kind.section}.html", asked=found, group=group, groups=kind.groups,
            days=[day.isoformat() for day in days],
            period=period_text(period),
            plot=plot if group in TIMES and len(rows) > 1 else None,
            ends=[label for label, _value in (*drawn[:1], *drawn[-1:])],
            rows=shown,
            labels=labels,
            left=len(rows) - MOST_SHOWN,
            total=kind.total(report.total),
            links={row.key: _link(kind.section, group, row.key, listed) for row in shown},
            in_money=current().money,
        )  # fmt: skip

    async def file(visit: Visit) -> Response:
        """Record the export, then send it."""
        form = form_asked(visit)
        _found, period, group, report = await _read(kind, visit, reports.clock())
        rows = kind.rows(report)
        asked_for: Facts = {"from": period.start.isoformat(), "to": period.end.isoformat(), "group_by": group}
        facts = {**asked_for, "format": form.value, "rows": len(rows)}
        await reports.record_export(visit.principal, kind.file, facts)
        return FileAnswer(await table(kind.file, form, kind.columns(rows), rows))

    site.view(f"{HOME}/{kind.section}", view, kind.permission)
    site.get(f"{ACTIONS}/{kind.section}/file", file, kind.permission)


async def _read(kind: ReportKind, visit: Visit, now: datetime) -> tuple[dict[str, str], ReportPeriod, str, Report[Any]]:
    """Return what was asked, the period and the group of it, and the report."""
    found = asked(visit, *FILTERS)
    period = ReportPeriod.of(found.get("from"), found.get("to"), found.get("tz") or own_zone(visit), now=now)
    group = checked_choice("group_by", found.get("group_by"), kind.group) or kind.first_group
    return found, period, group.value, await kind.read(visit.principal, period, group)


def _labels(rows: list[Any], group: str, models: Mapping[str, str]) -> dict[str | None, str]:
    """Return the name of each row, by its key."""
    named: Mapping[str, str] = {"model": models, "outcome": outcomes()}.get(group, {})
    return {
        row.key: row.name or named.get(row.key) or (time_text(group, row.key) if row.key else "\N{EN DASH}")
        for row in rows
    }


def _link(name: str, group: str, key: str | None, days: tuple[date, date] | None) -> str | None:
    """Return the address of what is behind the figures of a row; None where no list selects it.

    Lists have the days of the reader's time zone: `days` is None for those of another one.
    """
    if days is None or not key:
        return None
    wanted = {"from": days[0].isoformat(), "to": days[1].isoformat()}
    if group == "day":
        wanted = {"from": key, "to": key}
    elif group in {"model", "user", "outcome"}:
        wanted[group] = key
    else:
        return None
    return f"{HOME}/{'requests' if name == 'use' else 'ledger'}?{urlencode(wanted)}"
