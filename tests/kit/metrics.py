"""Metrics that remember what they were told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chatbill.application.ports.metrics import Figures
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.chat.interactions import Interaction


@dataclass
class MemoryMetrics:
    """Everything that was counted, in order."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Interaction] = field(default_factory=list)
    events: list[BillingEvent] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[tuple[str, str]] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)

    def request_answered(self, **facts: Any) -> None:
        self.requests.append(facts)

    def reply_ended(self, interaction: Interaction) -> None:
        self.replies.append(interaction)

    def credits_moved(self, event: BillingEvent) -> None:
        self.events.append(event)

    def store_used(self, **facts: Any) -> None:
        self.calls.append(facts)

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        self.jobs.append((kind, outcome))

    def observed(self, figures: Figures) -> None:
        self.figures.append(figures)
