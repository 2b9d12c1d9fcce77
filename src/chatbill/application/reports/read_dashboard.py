"""Read the dashboard: the figures of a period at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.chat.list_models import ListModels, ModelOffer
from chatbill.application.ports.repositories.reports import ReportReader
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.reports.financial_report import FinancialReport
from chatbill.application.reports.reading import pieces, rollups_of
from chatbill.application.reports.series import USAGE_BY_USER
from chatbill.application.reports.usage_report import UsageGroup, UsageReport
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.reports.finance import FinancialRow
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.domain.reports.usage import UsageSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The figures of a period. `held` is what is held now; money is None for who may not see it.

    `total_users` registered before its end, `new_users` of them during it; `active_users` had a request that ended.
    """

    period: ReportPeriod
    total_users: int
    new_users: int
    active_users: int
    usage: UsageSummary
    by_model: dict[str, UsageSummary]
    models: list[ModelOffer]
    finances: FinancialRow | None
    held: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDashboard:
    """Read the figures of a period. Raises `Forbidden` for who may not see use."""

    store: Store
    usage: UsageReport
    financial: FinancialReport
    list_models: ListModels

    async def __call__(self, principal: Principal, period: ReportPeriod) -> Dashboard:
        """Return the figures."""
        require_permission(principal, Permission.READ_USE)
        sees_money = Permission.READ_MONEY in permissions_of(principal.role)
        usage = await self.usage.read(period, UsageGroup.MODEL, named=False)
        finances = await self.financial.total(period) if sees_money else None

        def query(snapshot: Snapshot) -> tuple[int, int, int, int]:
            reader = snapshot.reports
            total, earlier = reader.count_users(period.end), reader.count_users(period.start)
            return total, total - earlier, _active(reader, period.start, period.end), reader.sum_of_holds()

        total, new, active, held = await self.store.read(query)
        return Dashboard(
            period=period,
            total_users=total,
            new_users=new,
            active_users=active,
            usage=usage.total,
            by_model={row.key or "": row.figures for row in usage.rows},
            models=self.list_models(),
            finances=finances,
            held=held if sees_money else None,
        )


def _active(reader: ReportReader, start: datetime, end: datetime) -> int:
    """Return how many people had a request that ended in the period."""
    found: set[str] = set()
    for piece in pieces(reader, start, end, by_day=True):
        if piece.is_raw:
            found |= {ended.user_id for ended in reader.ended(piece.start, piece.end)}
        else:
            found |= {row.key for row in rollups_of(reader, USAGE_BY_USER, piece)}
    return len(found)
