"""Routes for reports about use and money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Controller, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from chatbill.application.assembly import UseCases
from chatbill.application.reports.financial_report import FinancialGroup
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.application.shared.principal import Principal
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.reports import examples
from chatbill.entrypoints.http.reports.parameters import FORMAT, PERIOD
from chatbill.entrypoints.http.reports.views import FinancialReportView, PeriodView, UsageReportView, answer
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.exports import ExportFormat, table
from chatbill.entrypoints.web.parameters import checked_choice
from chatbill.entrypoints.web.report_rows import (
    CreditsRow,
    UsageRow,
    credits_columns,
    credits_rows,
    usage_columns,
    usage_rows,
)


def _answers(view: type, example: Mapping[str, Any]) -> dict[int, ResponseSpec]:
    words = "The report. With `format=csv` or `xlsx`, a file with the same rows."
    return documented(200, view, words, example, signed_in=True, problems=("invalid_request", "forbidden"))


class ReportController(Controller):
    """Reports for members of the staff."""

    path = "/admin/reports"
    tags = ("Reports",)
    dependencies = {"period": PERIOD, "wanted": FORMAT}  # noqa: RUF012 - the framework's own way

    @get(
        "/usage",
        operation_id="reportUsage",
        summary="Report requests, tokens, credits and times",
        responses=_answers(UsageReportView, examples.USAGE_REPORT),
    )
    async def report_usage(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
        wanted: Injected[ExportFormat],
        group_by: Annotated[
            str | None,
            QueryParameter(
                description="What a row is; by default, a model.",
                schema_extra={"enum": [each.value for each in UsageGroup]},
            ),
        ] = None,
    ) -> ASGIResponse:
        """Report what has ended in a period. Needs the permission `read_use`; names of people need `read_people`.

        A request belongs to the period in which it ended, when it was charged too, so that figures of the past stay as
        they are and agree with the ledger. Percentiles are at most 0.5 % off.
        """
        reports, group = use_cases.reports, checked_choice("group_by", group_by, UsageGroup) or UsageGroup.MODEL
        report = await reports.usage(principal, period, group)
        rows = usage_rows(report)
        if wanted is not ExportFormat.JSON:
            await reports.record_export(principal, "usage", _facts(period, group.value, wanted, len(rows)))
            return await table("usage", wanted, usage_columns(rows), rows)
        return answer(
            UsageReportView(
                period=PeriodView.of(period), group_by=group.value, rows=rows, total=UsageRow.of(report.total)
            )
        )

    @get(
        "/financial",
        operation_id="reportFinances",
        summary="Report credits and the money behind them",
        responses=_answers(FinancialReportView, examples.FINANCIAL_REPORT),
    )
    async def report_finances(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
        wanted: Injected[ExportFormat],
        group_by: Annotated[
            str | None,
            QueryParameter(
                description="What a row is; by default, a day.",
                schema_extra={"enum": [each.value for each in FinancialGroup]},
            ),
        ] = None,
    ) -> ASGIResponse:
        """Report how the credits of all people have changed in a period. Needs the permission `read_money`.

        In every row, opening + sold + bonus + granted - charged - refunded + adjusted = closing. `charged` is net of
        `given_back`. `owed` is the price of the paid credits that are not spent, rounded once for each purchase.
        """
        reports, group = use_cases.reports, checked_choice("group_by", group_by, FinancialGroup) or FinancialGroup.DAY
        report = await reports.financial(principal, period, group)
        rows = credits_rows(report)
        if wanted is not ExportFormat.JSON:
            await reports.record_export(principal, "financial", _facts(period, group.value, wanted, len(rows)))
            return await table("financial", wanted, credits_columns(rows), rows)
        return answer(
            FinancialReportView(
                period=PeriodView.of(period), group_by=group.value, rows=rows, total=CreditsRow.of(report.total)
            )
        )


def _facts(period: ReportPeriod, group_by: str, form: ExportFormat, rows: int) -> dict[str, str | int | bool | None]:
    return {
        "from": period.start.isoformat(),
        "to": period.end.isoformat(),
        "group_by": group_by,
        "format": form.value,
        "rows": rows,
    }
