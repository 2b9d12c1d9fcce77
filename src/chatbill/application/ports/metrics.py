"""The metrics port: what is counted and measured while the service works. The core does not know who collects it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from chatbill.application.ports.backups import LastBackup
from chatbill.application.ports.engine import ModelStatus
from chatbill.application.ports.machine import MachineFigures
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFigures:
    """What the store holds now. `oldest_event_at` is of the outbox, None if that is empty.

    `jobs` counts by kind and state. `oldest_due_at` is when the job was due that waits longest, None if none waits.
    """

    open_holds: int = 0
    expired_holds: int = 0
    oldest_event_at: datetime | None = None
    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest_due_at: datetime | None = None
    open_alerts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """A pool of connections to the database: the most it has, those that are open or busy, and calls that wait."""

    size: int
    connections: int
    busy: int
    waiting: int


@runtime_checkable
class Pooled(Protocol):
    """A store that has pools of connections."""

    def pools(self) -> Mapping[str, PoolFigures]:
        """Return the state of each pool by its name, at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The state of the service at one moment. `stored` is None while the store does not answer.

    `reaches_others` is False while the server that processes share does not answer, None where there is none.
    `backup` is None without a place for backups, and while it is not known.
    """

    at: datetime
    models: Mapping[ModelId, ModelStatus]
    machine: MachineFigures
    stored: StoredFigures | None
    pools: Mapping[str, PoolFigures] = field(default_factory=dict)
    reaches_others: bool | None = None
    backup: LastBackup | None = None


class Metrics(Protocol):
    """Counts events. Each method returns at once, never raises, and may be called from any thread."""

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a template, never a path; `status` is how it really ended."""
        ...

    def reply_ended(self, interaction: Interaction) -> None:
        """Count a reply that was settled."""
        ...

    def credits_moved(self, event: BillingEvent) -> None:
        """Count what happened to a wallet, once it is kept."""
        ...

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Count a transaction or a snapshot."""
        ...

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Count an attempt of a job. `outcome` is `done`, `again` or `failed`."""
        ...

    def observed(self, figures: Figures) -> None:
        """Note the state of the service, which replaces the one before."""
        ...


class NoMetrics:
    """Counts nothing, for applications that collect no metrics."""

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Do nothing."""

    def reply_ended(self, interaction: Interaction) -> None:
        """Do nothing."""

    def credits_moved(self, event: BillingEvent) -> None:
        """Do nothing."""

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Do nothing."""

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def observed(self, figures: Figures) -> None:
        """Do nothing."""
