"""The overview: the figures of a day, a week or a month, the models, and the open alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.ui.administration.sections import HOME, own_zone, show
from chatbill.entrypoints.ui.shared.plots import Plot, bars
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.language import N_, current, ngettext
from chatbill.entrypoints.web.report_rows import CreditsRow, UsageRow
from chatbill.entrypoints.web.texts import credits_text

PERIODS: Final = {"1": N_("Today"), "7": N_("7 days"), "30": N_("30 days")}
OPEN_ALERTS: Final = 5


def overview_views(site: Site) -> None:
    """Add the view."""
    use_cases = site.use_cases

    async def overview(visit: Visit) -> Response:
        days = visit.asked("days", "1")
        days = days if days in PERIODS else "1"
        period = _period(visit, int(days), site)
        sees_money = Permission.READ_MONEY in visit.permissions
        by_day = await use_cases.reports.usage(visit.principal, period, UsageGroup.DAY)
        requests = [(row.key or "", row.figures.requests) for row in by_day.rows]
        spent: list[tuple[str, int]] = []
        if sees_money:
            money = await use_cases.reports.financial(visit.principal, period, FinancialGroup.DAY)
            spent = [(row.key or "", row.figures.charged) for row in money.rows]
        dashboard = await use_cases.reports.read_dashboard(visit.principal, period)
        alerts = await use_cases.monitoring.list_alerts(visit.principal, AlertFilter(is_open=True), limit=OPEN_ALERTS)
        return show(
            visit,
            "",
            "overview.html",
            choices=[(f"{HOME}?days={key}", name, key == days) for key, name in PERIODS.items()],
            dashboard=dashboard,
            total=UsageRow.of(dashboard.usage),
            by_model={key: UsageRow.of(figures) for key, figures in dashboard.by_model.items()},
            money=CreditsRow.of(dashboard.finances) if dashboard.finances else None,
            in_money=current().money,
            requests=_plot(requests, _requests),
            request_rows=requests,
            spent=_plot(spent, credits_text),
            spent_rows=spent,
            alerts=[AlertView.of(alert) for alert in alerts.items],
        )

    site.view(HOME, overview, Permission.READ_USE)


def _period(visit: Visit, days: int, site: Site) -> ReportPeriod:
    now = site.use_cases.reports.clock()
    start = (now.astimezone(visit.language.zone) - timedelta(days=days - 1)).date().isoformat()
    return ReportPeriod.of(start, None, own_zone(visit), now=now)


def _plot(rows: list[tuple[str, int]], said: Callable[[int], str]) -> Plot:
    return bars([(f"{day}: {said(value)}", value) for day, value in rows])


def _requests(count: int) -> str:
    return ngettext("{count} request", "{count} requests", count).format(count=current().number(count))
