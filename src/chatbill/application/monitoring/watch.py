"""Watch: look for what is wrong, and record it as alerts."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.monitoring import findings
from chatbill.application.monitoring.read_figures import ReadFigures
from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.monitoring.record_findings import RecordFindings
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.store import Store
from chatbill.application.shared.bounds import AlertBounds
from chatbill.domain.monitoring.alerts import OF_PROCESS
from chatbill.domain.shared.ids import ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchProcess:
    """Look at the figures of this process. Each process that serves does it, because it alone knows its models."""

    read_figures: ReadFigures
    recent: RecentFigures
    record: RecordFindings
    bounds: AlertBounds
    _offered: set[ModelId] = field(default_factory=set)

    async def __call__(self, instance: str) -> int:
        """Record the findings of the process `instance`; return how many alerts changed."""
        figures, source = await self.read_figures(), f"{OF_PROCESS}{instance}"
        recent = self.recent.within(findings.SIGN_IN_MINUTES)
        self._offered.update(model for model, status in figures.models.items() if status.available)
        found = list(findings.of_process(figures, recent, self.bounds, source=source, offered=self._offered))
        changes = await self.record(source, found)
        changes += await self.record(findings.JOBS, list(findings.of_jobs(figures, self.bounds)))
        if figures.backup is not None:
            changes += await self.record(findings.BACKUPS, list(findings.of_backups(figures, self.bounds)))
        return len(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleModels:
    """Look how many requests wait for each model. It is cheap, and so is done often."""

    engine: Engine
    recent: RecentFigures
    every_s: float = 2.0

    async def __call__(self) -> int:
        """Note what waits; return 0."""
        self.recent.sampled(self.engine.status(), self.every_s)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStore:
    """Look at what the store says, for all processes; one of them does it."""

    store: Store
    clock: Clock
    record: RecordFindings
    bounds: AlertBounds

    async def __call__(self) -> int:
        """Record the findings; return how many alerts changed."""
        now = self.clock()
        found = await self.store.read(lambda snapshot: findings.of_store(snapshot, now, self.bounds))
        return len(await self.record(findings.STORE, found))
