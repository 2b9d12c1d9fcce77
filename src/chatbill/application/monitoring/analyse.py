"""Analyse: find what makes the service slow or unreliable, each with its evidence, so that advice can be given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from chatbill.application.monitoring.read_figures import ReadFigures
from chatbill.application.monitoring.recent_figures import ModelMinutes, RecentFigures
from chatbill.application.ports.machine import MachineFigures
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.monitoring.alerts import Evidence
from chatbill.domain.shared.ids import ModelId

LEAST_REPLIES: Final = 5
"""Of fewer replies, a share says nothing."""
WAITING_SHARE: Final = 0.2
FAILING_SHARE: Final = 0.05
SLOW_FIRST_TOKEN_MS: Final = 10_000
LOW_MEMORY_SHARE: Final = 0.1
LOW_DISK_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A finding: a code, to which a text with advice belongs, and the figures that show it."""

    code: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyse:
    """Analyse the last hour of this process, for members of the staff. Raises `Forbidden`."""

    read_figures: ReadFigures
    recent: RecentFigures

    async def __call__(self, principal: Principal) -> list[Advice]:
        """Return the findings, those of models first; none where nothing is wrong."""
        require_permission(principal, Permission.READ_USE)
        figures, recent = await self.read_figures(), self.recent.within()
        found: list[Advice] = []
        for model, minutes in recent.models.items():
            found += _of_model(model, minutes, recent.seconds)
        return [*found, *_of_machine(figures.machine)]


def _of_model(model: ModelId, minutes: ModelMinutes, seconds: float) -> Iterator[Advice]:
    if seconds and minutes.waiting_s / seconds >= WAITING_SHARE:
        evidence: Evidence = {
            "model": model,
            "waited_s": round(minutes.waiting_s),
            "of_s": round(seconds),
            "batch_size": minutes.batch_size,
        }
        yield Advice(code="advice_queue", evidence=evidence)
    if minutes.replies < LEAST_REPLIES:
        return
    for outcome, code in ((Outcome.TIMED_OUT, "advice_timeouts"), (Outcome.FAILED, "advice_failures")):
        count = minutes.outcomes[outcome.value]
        if count / minutes.replies >= FAILING_SHARE:
            common = minutes.errors.most_common(1)
            evidence = {
                "model": model,
                "count": count,
                "replies": minutes.replies,
                "error": common[0][0] if common else "",
            }
            yield Advice(code=code, evidence=evidence)
    first_ms = minutes.first_token_ms.percentile(95)
    if first_ms and first_ms >= SLOW_FIRST_TOKEN_MS:
        yield Advice(code="advice_first_token", evidence={"model": model, "p95_ms": round(first_ms)})


def _of_machine(machine: MachineFigures) -> Iterator[Advice]:
    if machine.free_bytes < LOW_MEMORY_SHARE * machine.total_bytes:
        evidence: Evidence = {"free_bytes": machine.free_bytes, "total_bytes": machine.total_bytes}
        yield Advice(code="advice_memory", evidence=evidence)
    if machine.disk_free_bytes < LOW_DISK_SHARE * machine.disk_total_bytes:
        evidence = {"free_bytes": machine.disk_free_bytes, "total_bytes": machine.disk_total_bytes}
        yield Advice(code="advice_disk", evidence=evidence)
