"""Reports of use and of money over any period, as plots, tables and files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, own_zone, show
from chatbill.entrypoints.ui.shared.files import File
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


def report_views(site: Site) -> None:
    """Add the views and their files."""
    reports = site.use_cases.reports

    async def use(visit: Visit) -> Response:
        found, period = _asked(visit)
        group = checked_choice("group_by", found.get("group_by"), UsageGroup) or UsageGroup.MODEL
        report = await reports.usage(visit.principal, period, group)
        rows = usage_rows(report)
        plot = bars([(f"{row.key}: {row.requests}", row.requests) for row in rows]) if group.value in TIMES else None
        total = UsageRow.of(report.total)
        return _page(
            visit,
            "use",
            rows,
            total,
            asked=found,
            group=group.value,
            groups=USE_GROUPS,
            plot=plot,
            days=_days(visit, period),
        )

    async def money(visit: Visit) -> Response:
        found, period = _asked(visit)
        group = checked_choice("group_by", found.get("group_by"), FinancialGroup) or FinancialGroup.DAY
        report = await reports.financial(visit.principal, period, group)
        rows = credits_rows(report)
        plot = bars([(f"{row.key}: {row.charged}", row.charged) for row in rows]) if group.value in TIMES else None
        total = CreditsRow.of(report.total)
        return _page(
            visit,
            "money",
            rows,
            total,
            asked=found,
            group=group.value,
            groups=MONEY_GROUPS,
            plot=plot,
            days=_days(visit, period),
        )

    async def use_file(visit: Visit) -> Response:
        found, period = _asked(visit)
        group = checked_choice("group_by", found.get("group_by"), UsageGroup) or UsageGroup.MODEL
        rows = usage_rows(await reports.usage(visit.principal, period, group))
        form = await record(visit, "usage", period, group.value, len(rows))
        return File(await table("usage", form, usage_columns(rows), rows))

    async def money_file(visit: Visit) -> Response:
        found, period = _asked(visit)
        group = checked_choice("group_by", found.get("group_by"), FinancialGroup) or FinancialGroup.DAY
        rows = credits_rows(await reports.financial(visit.principal, period, group))
        form = await record(visit, "financial", period, group.value, len(rows))
        return File(await table("financial", form, credits_columns(rows), rows))

    async def record(visit: Visit, name: str, period: ReportPeriod, group: str, rows: int) -> ExportFormat:
        """Record the export before it is sent; return its format."""
        form = checked_choice("format", visit.asked("format", "csv"), ExportFormat) or ExportFormat.CSV
        facts: dict[str, Any] = {
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            "group_by": group,
            "format": form.value,
            "rows": rows,
        }
        await reports.record_export(visit.principal, name, facts)
        return form

    def _asked(visit: Visit) -> tuple[dict[str, str], ReportPeriod]:
        found = asked(visit, *FILTERS)
        zone = found.get("tz") or own_zone(visit)
        return found, ReportPeriod.of(found.get("from"), found.get("to"), zone, now=reports.clock())

    site.view(f"{HOME}/use", use, Permission.READ_USE)
    site.view(f"{HOME}/money", money, Permission.READ_MONEY)
    site.get(f"{ACTIONS}/use/file", use_file, Permission.READ_USE)
    site.get(f"{ACTIONS}/money/file", money_file, Permission.READ_MONEY)


def _page(visit: Visit, name: str, rows: list[Any], total: Any, **values: Any) -> Response:
    days = values.pop("days")
    values["links"] = {row.key: _link(name, values["group"], row.key, days) for row in rows[:MOST_SHOWN]}
    return show(visit, name, f"{name}.html", rows=rows[:MOST_SHOWN], left=len(rows) - MOST_SHOWN, total=total, **values)


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
