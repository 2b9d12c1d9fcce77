"""Metrics that go to several collectors."""

from __future__ import annotations

from chatbill.application.ports.metrics import Figures, Metrics
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.chat.interactions import Interaction


class SeveralMetrics:
    """Hands on everything to each collector."""

    def __init__(self, *collectors: Metrics) -> None:
        self._collectors = collectors

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.request_answered(method=method, route=route, status=status, seconds=seconds)

    def reply_ended(self, interaction: Interaction) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.reply_ended(interaction)

    def credits_moved(self, event: BillingEvent) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.credits_moved(event)

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.store_used(is_write=is_write, seconds=seconds, failed=failed)

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.job_ended(kind=kind, outcome=outcome, seconds=seconds)

    def observed(self, figures: Figures) -> None:
        """Hand it on."""
        for each in self._collectors:
            each.observed(figures)
