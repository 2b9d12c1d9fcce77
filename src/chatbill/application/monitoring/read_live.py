"""Read live figures, and the state of each part of the service, for members of the staff."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chatbill.application.chat.check_readiness import CheckReadiness, Readiness
from chatbill.application.monitoring.read_figures import ReadFigures
from chatbill.application.monitoring.recent_figures import MINUTES, Recent, RecentFigures
from chatbill.application.ports.metrics import Figures
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvalidRequest

LATE_JOBS_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The figures of this moment, and what happened within some minutes."""

    figures: Figures
    recent: Recent


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLive:
    """Read figures of this process. Raises `Forbidden`, `InvalidRequest`."""

    read_figures: ReadFigures
    recent: RecentFigures

    async def __call__(self, principal: Principal, *, minutes: int) -> Live:
        """Return the present figures, and those of the last `minutes`, 1 to 60."""
        require_permission(principal, Permission.READ_USE)
        if not 1 <= minutes <= MINUTES:
            raise InvalidRequest.of("minutes", "out_of_range", min=1, max=MINUTES)
        return Live(figures=await self.read_figures(), recent=self.recent.within(minutes))


class PartState(StrEnum):
    """How a part of the service is."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the service. `reason` says what is wrong; None if nothing is."""

    name: str
    state: PartState
    reason: Description | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHealth:
    """Say how each part of the service is. Raises `Forbidden`."""

    check_readiness: CheckReadiness
    read_figures: ReadFigures

    async def __call__(self, principal: Principal) -> list[Part]:
        """Return the database, each model, and the jobs."""
        require_permission(principal, Permission.READ_USE)
        readiness, figures = await self.check_readiness(), await self.read_figures()
        store = PartState.OK if readiness.store else PartState.DOWN
        return [
            Part(name="database", state=store, reason=readiness.problem),
            *(_model(name, readiness) for name in readiness.models),
            _jobs(figures),
        ]


def _model(name: str, readiness: Readiness) -> Part:
    reason = readiness.unhealthy.get(name) or readiness.unavailable.get(name)
    state = PartState.OK
    if reason:
        state = PartState.DEGRADED if readiness.models[name] else PartState.DOWN
    return Part(name=f"model {name}", state=state, reason=reason)


def _jobs(figures: Figures) -> Part:
    stored = figures.stored
    due_at = stored.oldest_due_at if stored else None
    waited_s = (figures.at - due_at).total_seconds() if due_at else 0
    failed = sum(count for (_, state), count in stored.jobs.items() if state == "failed") if stored else 0
    if waited_s > LATE_JOBS_S:
        return Part(name="jobs", state=PartState.DEGRADED, reason=Description.of("jobs_wait", waited_s=round(waited_s)))
    if failed:
        return Part(name="jobs", state=PartState.DEGRADED, reason=Description.of("jobs_failed", count=failed))
    return Part(name="jobs", state=PartState.OK)
