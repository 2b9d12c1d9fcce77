"""The response body of live figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.monitoring.read_live import Live
from chatbill.application.monitoring.recent_figures import ModelMinutes
from chatbill.application.monitoring.sketch import Sketch
from chatbill.application.ports.engine import ModelStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesView:
    """Percentiles in milliseconds, off by at most 5 %; null where there are no values."""

    p50: int | None
    p95: int | None
    p99: int | None

    @classmethod
    def of(cls, sketch: Sketch) -> TimesView:
        """Return the percentiles of a sketch."""
        found = (sketch.percentile(percent) for percent in (50, 95, 99))
        p50, p95, p99 = (None if value is None else round(value) for value in found)
        return cls(p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveModelView:
    """One model now, and its replies within the period."""

    id: str
    status: str
    healthy: bool
    running: int
    queued: int
    batch_size: int
    memory_bytes: int
    replies: dict[str, int]
    cached: int
    tokens_per_s: float
    latency_ms: TimesView
    first_token_ms: TimesView

    @classmethod
    def of(cls, model: str, status: ModelStatus, minutes: ModelMinutes, seconds: float) -> LiveModelView:
        """Return the view of a model."""
        return cls(
            id=model,
            status=status.state.value,
            healthy=status.healthy,
            running=status.running,
            queued=status.queued,
            batch_size=status.at_once,
            memory_bytes=status.memory_bytes,
            replies=dict(minutes.outcomes),
            cached=minutes.cached,
            tokens_per_s=round(minutes.completion_tokens / seconds, 2),
            latency_ms=TimesView.of(minutes.processing_ms),
            first_token_ms=TimesView.of(minutes.first_token_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsView:
    """Requests within the period. `error_percent` are those that ended with a status of 500 or more."""

    count: int
    per_s: float
    error_percent: float
    latency_ms: TimesView


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuView:
    """The memory of a GPU, in bytes."""

    name: str
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineView:
    """The machine, in bytes; 0 is unknown. `process_bytes` includes the processes of models."""

    process_bytes: int
    free_bytes: int
    total_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
    cpu_percent: float
    gpus: list[GpuView]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """Figures of the process that answers. `seconds` is the length of the period. Holds are null without a database."""

    at: datetime
    seconds: int
    requests: RequestsView
    models: list[LiveModelView]
    machine: MachineView
    open_holds: int | None
    expired_holds: int | None
    jobs: dict[str, int]
    open_alerts: dict[str, int]

    @classmethod
    def of(cls, live: Live) -> LiveView:
        """Return the view of live figures."""
        figures, recent = live.figures, live.recent
        machine, stored = figures.machine, figures.stored
        gpus = [GpuView(name=gpu.name, used_bytes=gpu.used_bytes, total_bytes=gpu.total_bytes) for gpu in machine.gpus]
        return cls(
            at=figures.at,
            seconds=round(recent.seconds),
            requests=RequestsView(
                count=recent.requests,
                per_s=round(recent.requests / recent.seconds, 2),
                error_percent=round(100 * recent.errors / max(1, recent.requests), 2),
                latency_ms=TimesView.of(recent.latency_ms),
            ),
            models=[
                LiveModelView.of(model, status, recent.models.get(model, ModelMinutes()), recent.seconds)
                for model, status in figures.models.items()
            ],
            machine=MachineView(
                process_bytes=machine.process_bytes,
                free_bytes=machine.free_bytes,
                total_bytes=machine.total_bytes,
                disk_free_bytes=machine.disk_free_bytes,
                disk_total_bytes=machine.disk_total_bytes,
                cpu_percent=machine.cpu_percent,
                gpus=gpus,
            ),
            open_holds=stored.open_holds if stored else None,
            expired_holds=stored.expired_holds if stored else None,
            jobs={f"{kind} {state}": count for (kind, state), count in stored.jobs.items()} if stored else {},
            open_alerts=dict(stored.open_alerts) if stored else {},
        )
