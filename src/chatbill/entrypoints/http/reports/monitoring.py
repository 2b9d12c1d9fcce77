"""Routes for use over time, and for a report of a period with all that monitoring knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Controller, get
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.reports.usage_report import Report, UsageGroup
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.domain.reports.usage import UsageSummary
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.reports import examples
from chatbill.entrypoints.http.reports.dashboard import DashboardView
from chatbill.entrypoints.http.reports.parameters import PERIOD
from chatbill.entrypoints.http.reports.views import PeriodView, UsageReportView
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.parameters import checked_choice
from chatbill.entrypoints.web.report_rows import UsageRow, usage_rows

BY_TIME = (UsageGroup.DAY, UsageGroup.HOUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReportView:
    """A period at a glance, its use by day, and the alerts that were opened in it (the newest hundred)."""

    summary: DashboardView
    usage: UsageReportView
    alerts: list[AlertView]


class UseOverTimeController(Controller):
    """What has happened over a period."""

    path = "/monitoring"
    tags = ("Monitoring",)
    dependencies = {"period": PERIOD}  # noqa: RUF012 - the framework's own way

    @get(
        "/analytics",
        operation_id="readAnalytics",
        summary="Read the use over time",
        responses=documented(
            200, UsageReportView, "The use.", examples.USAGE_REPORT, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def read_analytics(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
        group_by: Annotated[
            str | None,
            QueryParameter(
                description="What a row is; by default, a day.", schema_extra={"enum": [each.value for each in BY_TIME]}
            ),
        ] = None,
    ) -> UsageReportView:
        """Return requests, tokens, credits and times by day or hour. Needs the permission `read_use`."""
        group = checked_choice("group_by", group_by, UsageGroup, among=BY_TIME) or UsageGroup.DAY
        return _view(await use_cases.reports.usage(principal, period, group))

    @get(
        "/report",
        operation_id="readPeriodReport",
        summary="Read a report of a period",
        responses=documented(
            200, PeriodReportView, "The report.", examples.PERIOD_REPORT, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def read_report(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
    ) -> PeriodReportView:
        """Return the dashboard of a period, its use by day and its alerts. Needs the permission `read_use`."""
        reports, list_alerts = use_cases.reports, use_cases.monitoring.list_alerts
        found = await reports.read_dashboard(principal, period)
        open_now = await list_alerts(principal, AlertFilter(is_open=True), limit=MAX_PAGE)
        newest = await list_alerts(principal, AlertFilter(), limit=MAX_PAGE)
        return PeriodReportView(
            summary=DashboardView.of(found, open_now.items),
            usage=_view(await reports.usage(principal, period, UsageGroup.DAY)),
            alerts=[AlertView.of(each) for each in newest.items if period.start <= each.opened_at < period.end],
        )


def _view(report: Report[UsageSummary]) -> UsageReportView:
    return UsageReportView(
        period=PeriodView.of(report.period),
        group_by=report.group_by,
        rows=usage_rows(report),
        total=UsageRow.of(report.total),
    )
