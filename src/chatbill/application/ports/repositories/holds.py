"""The repository of holds."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.domain.billing.holds import Hold
from chatbill.domain.shared.ids import HoldId, InstanceId


class HoldReader(Protocol):
    def get(self, hold_id: HoldId) -> Hold | None: ...

    def due(self, now: datetime, limit: int) -> list[Hold]:
        """Return pending holds that should have ended by `now`, the oldest first."""
        ...

    def of_instance(self, instance_id: InstanceId, limit: int) -> list[Hold]:
        """Return pending holds of the work of a process."""
        ...


class HoldRepository(HoldReader, Protocol):
    def add(self, hold: Hold) -> None: ...

    def save(self, hold: Hold) -> None:
        """Keep a settled hold. Raises `InvariantViolation` unless the stored hold is still pending."""
        ...

    def save_refund(self, hold: Hold) -> None:
        """Keep how much of a captured hold was refunded, which only grows. Raises `InvariantViolation`."""
        ...
