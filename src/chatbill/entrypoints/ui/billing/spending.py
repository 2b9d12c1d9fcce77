"""What a person has spent: by day as a plot, and by model."""

from __future__ import annotations

from datetime import date
from typing import Final

from starlette.responses import Response

from chatbill.application.assembly import UseCases
from chatbill.application.reports.own_spending import SpendingGroup
from chatbill.domain.reports.periods import ReportPeriod, midnight
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.ui.shared.plots import bars
from chatbill.entrypoints.ui.shared.visits import Visit
from chatbill.entrypoints.ui.shared.words import names_of_models
from chatbill.entrypoints.web import language
from chatbill.entrypoints.web.texts import credits_text

DAYS: Final = {"7": 7, "30": 30, "90": 90}


class Spending:
    """Spending in the view of credits."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def show(self, visit: Visit) -> Response:
        """Return the plots of the last days of the person's time zone, today included."""
        chosen = visit.asked("days", "30")
        if chosen not in DAYS:
            raise InvalidRequest.of("days", "not_one_of", known=", ".join(DAYS))
        reports, zone = self._use_cases.reports, visit.account.limits.time_zone
        last = ReportPeriod.of(None, None, zone, now=reports.clock())
        first = last.end.astimezone(last.zone).date().toordinal() - DAYS[chosen]
        period = ReportPeriod(midnight(date.fromordinal(first), last.zone), last.end, last.zone)
        by_day = await reports.own_spending(visit.principal, period, SpendingGroup.DAY)
        by_model = await reports.own_spending(visit.principal, period, SpendingGroup.MODEL)
        days = [(date.fromisoformat(row.key or ""), row.figures.credits_charged) for row in by_day.rows]
        names = names_of_models(self._use_cases)
        models = [
            (names.get(row.key or "", row.key), row.figures.credits_charged)
            for row in sorted(by_model.rows, key=lambda row: -row.figures.credits_charged)
        ]
        text = language.current().day
        plot = bars([(f"{text(day)}: {credits_text(amount)}", amount) for day, amount in days])
        return visit.html(
            "credits/spending.html",
            chosen=chosen,
            choices=DAYS,
            days=days,
            models=models,
            plot=plot,
            total=by_day.total,
        )
