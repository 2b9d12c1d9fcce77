"""Report one's own use: requests, tokens and credits of a period, by day, model or channel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.reports.usage_report import Report, ReportRow
from chatbill.application.shared.principal import Principal
from chatbill.domain.reports.periods import Bucket, ReportPeriod, bucket_at
from chatbill.domain.reports.usage import EndedInteraction, UsageFigures

BY_KEY, BY_SIGN_IN = "api_key", "sign_in"


class SpendingGroup(StrEnum):
    """What the rows of one's own report stand for. A channel is `api_key` or `sign_in`, the page included."""

    DAY = "day"
    MODEL = "model"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSpending:
    """Report the use of the principal. A request belongs to the period in which it ended.

    Raises `RateLimited` after too many reports.
    """

    store: Store
    rate_limits: RateLimits
    rate: Limit

    async def __call__(
        self, principal: Principal, period: ReportPeriod, group_by: SpendingGroup
    ) -> Report[UsageFigures]:
        """Return the report; by day, days without a request have a row too. Raises `InvalidRequest` for too many."""
        await self.rate_limits.hit(self.rate, principal.user_id)
        buckets = period.buckets(Bucket.DAY) if group_by is SpendingGroup.DAY else []
        starts = [bucket.start for bucket in buckets]
        sums = {bucket.key: UsageFigures() for bucket in buckets}
        key_of: dict[SpendingGroup, Callable[[EndedInteraction], str]] = {
            SpendingGroup.DAY: lambda ended: buckets[bucket_at(starts, ended.at)].key,
            SpendingGroup.MODEL: lambda ended: ended.model,
            SpendingGroup.CHANNEL: lambda ended: BY_KEY if ended.api_key_id else BY_SIGN_IN,
        }
        key, total = key_of[group_by], UsageFigures()

        def query(snapshot: Snapshot) -> None:
            with closing(snapshot.reports.ended_of(principal.user_id, period.start, period.end)) as rows:
                for ended in rows:
                    sums.setdefault(key(ended), UsageFigures()).add(ended)
                    total.add(ended)

        await self.store.read(query)
        return Report(period, group_by.value, [ReportRow(name, sums[name]) for name in sorted(sums)], total)
