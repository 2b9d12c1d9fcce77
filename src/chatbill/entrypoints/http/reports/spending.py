"""The route for one's own use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Controller, get
from litestar.di import Provide
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.reports.own_spending import SpendingGroup
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.domain.reports.usage import UsageFigures
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.reports import examples
from chatbill.entrypoints.http.reports.parameters import PeriodFrom, PeriodTo, TimeZone, provide_period
from chatbill.entrypoints.http.reports.views import PeriodView
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.parameters import checked_choice


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingRow:
    """What was used; `key` is null in the total. `requests` counts those that cost nothing, too."""

    key: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    credits_charged: int

    @classmethod
    def of(cls, key: str | None, figures: UsageFigures) -> SpendingRow:
        """Return the row of a key."""
        return cls(
            key=key,
            requests=figures.requests,
            prompt_tokens=figures.prompt_tokens,
            completion_tokens=figures.completion_tokens,
            credits_charged=figures.credits_charged,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingView:
    """Your use of a period, on the web page and by the API."""

    period: PeriodView
    group_by: str
    rows: list[SpendingRow]
    total: SpendingRow


def provide_own_period(
    use_cases: Injected[UseCases],
    principal: Injected[Principal],
    start: PeriodFrom = None,
    end: PeriodTo = None,
    tz: TimeZone = None,
) -> ReportPeriod:
    """Return the period that is asked for, by default in the person's own time zone."""
    return provide_period(use_cases, start, end, tz or principal.limits.time_zone)


class SpendingController(Controller):
    """The user's own use."""

    path = "/chat"
    tags = ("Chat",)

    @get(
        "/spending",
        operation_id="reportOwnSpending",
        opt={SCOPE: Scope.READ},
        summary="Report your own use",
        dependencies={"period": Provide(provide_own_period, sync_to_thread=False)},
        responses=documented(
            200,
            SpendingView,
            "The report.",
            examples.SPENDING,
            signed_in=True,
            problems=("invalid_request", "rate_limited"),
        ),
    )
    async def report_own_spending(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
        group_by: Annotated[
            str | None,
            QueryParameter(
                description="What a row is; by default, a day. A channel is `api_key` or `sign_in`.",
                schema_extra={"enum": [each.value for each in SpendingGroup]},
            ),
        ] = None,
    ) -> SpendingView:
        """Report what of yours has ended in a period. Without `tz`, days are those of your own time zone."""
        group = checked_choice("group_by", group_by, SpendingGroup) or SpendingGroup.DAY
        report = await use_cases.reports.own_spending(principal, period, group)
        return SpendingView(
            period=PeriodView.of(period),
            group_by=report.group_by,
            rows=[SpendingRow.of(row.key, row.figures) for row in report.rows],
            total=SpendingRow.of(None, report.total),
        )
