"""The response body of the dashboard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatbill.application.ports.engine import ModelStatus
from chatbill.application.reports.read_dashboard import Dashboard
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.monitoring.alerts import Alert
from chatbill.domain.reports.usage import UsageFigures
from chatbill.entrypoints.http.reports.views import PeriodView
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.report_rows import CreditsRow, CurrencyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersView:
    """People who had registered by the end of the period, those who did during it, and those who used the service."""

    total: int
    new: int
    active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesView:
    """Requests that ended in the period."""

    total: int
    by_outcome: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditsView:
    """Credits of the period, as in the financial report.

    `held` is for running replies now. At the end of the period, people owned `owned` credits, of which `owed` were paid
    for; `money` has their price.
    """

    sold: int
    bonus: int
    granted: int
    charged: int
    given_back: int
    refunded: int
    adjusted: int
    held: int
    owned: int
    owed: int
    money: list[CurrencyRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyView:
    """Percentiles of the times of requests, in milliseconds, at most 0.5 % off."""

    p50: int | None
    p95: int | None
    p99: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiguresView:
    """The use of a model. `status` is its present state, null for a model that is not offered any more.

    `tokens_per_s` are tokens written a second of all times of its requests, waiting included.
    """

    id: str
    status: str | None
    requests: int
    tokens_per_s: float | None
    latency_ms: LatencyView
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardView:
    """The figures of a period, and the alerts that are open now. `credits` is null where money may not be seen."""

    period: PeriodView
    users: UsersView
    requests: OutcomesView
    credits: CreditsView | None
    models: list[ModelFiguresView]
    alerts: list[AlertView]

    @classmethod
    def of(cls, found: Dashboard, alerts: Iterable[Alert]) -> DashboardView:
        """Return the view of a dashboard."""
        outcomes = {each.value: found.usage.outcomes[each.value] for each in Outcome if each is not Outcome.RUNNING}
        return cls(
            period=PeriodView.of(found.period),
            users=UsersView(total=found.total_users, new=found.new_users, active=found.active_users),
            requests=OutcomesView(total=found.usage.requests, by_outcome=outcomes),
            credits=_credits(found),
            models=list(_models(found)),
            alerts=[AlertView.of(alert) for alert in alerts],
        )


def _credits(found: Dashboard) -> CreditsView | None:
    if found.finances is None or found.held is None:
        return None
    row = CreditsRow.of(found.finances)
    return CreditsView(
        sold=row.sold,
        bonus=row.bonus,
        granted=row.granted,
        charged=row.charged,
        given_back=row.given_back,
        refunded=row.refunded,
        adjusted=row.adjusted,
        held=found.held,
        owned=row.closing,
        owed=row.paid_closing,
        money=row.money,
    )


def _models(found: Dashboard) -> Iterator[ModelFiguresView]:
    """Yield the models of the catalogue, and then those that are gone."""
    statuses: dict[str, ModelStatus] = {offer.model.id: offer.status for offer in found.models}
    for model in (*statuses, *sorted(found.by_model.keys() - statuses.keys())):
        figures = found.by_model.get(model) or UsageFigures().summary()
        p50, p95, p99 = figures.latency_ms
        yield ModelFiguresView(
            id=model,
            status=statuses[model].state.value if model in statuses else None,
            requests=figures.requests,
            tokens_per_s=round(figures.completion_tokens * 1_000 / figures.took_ms, 1) if figures.took_ms else None,
            latency_ms=LatencyView(p50=p50, p95=p95, p99=p99),
            memory_bytes=statuses[model].memory_bytes if model in statuses else None,
        )
