"""Collects the state of the service for Prometheus, from the figures that were read last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chatbill.application.ports.engine import ModelStatus
from chatbill.application.ports.metrics import Figures, StoredFigures

Sample = tuple[tuple[str, ...], float]


class StateCollector(Collector):
    """Yields gauges. Those of what is not known have no samples, so that nothing looks like a zero."""

    def __init__(self) -> None:
        self.figures: Figures | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield all gauges, also those without samples."""
        figures = self.figures
        yield from _models(figures)
        yield from _machine(figures)
        is_up = None if figures is None else float(figures.stored is not None)
        yield _gauge("chatbill_store_up", "1 if the database answers.", (), _one(is_up))
        reaches = figures.reaches_others if figures else None
        words = "1 if the server that processes share answers; 0 while each counts its own limits."
        yield _gauge("chatbill_shared_server_up", words, (), _one(None if reaches is None else float(reaches)))
        yield from _pools(figures)
        yield from _backup(figures)
        yield from _stored(figures.stored if figures else None, figures.at if figures else None)


_OF_MODELS: Final[tuple[tuple[str, str, Callable[[ModelStatus], float]], ...]] = (
    ("available", "1 if a message would be accepted.", lambda status: status.available),
    ("healthy", "0 while a model that is offered does not write.", lambda status: status.healthy),
    ("running_replies", "Replies that are being written.", lambda status: status.running),
    ("queued_replies", "Requests that wait.", lambda status: status.queued),
    ("batch_size", "The most replies that are written together.", lambda status: status.at_once),
    ("memory_bytes", "Memory of the model in this process and its children.", lambda status: status.memory_bytes),
)


def _models(figures: Figures | None) -> Iterator[Metric]:
    models = figures.models.items() if figures else ()
    for name, words, value in _OF_MODELS:
        samples = [((str(model),), float(value(status))) for model, status in models]
        yield _gauge(f"chatbill_model_{name}", words, ("model",), samples)


def _machine(figures: Figures | None) -> Iterator[Metric]:
    machine = figures.machine if figures else None
    for name, words, value in (
        ("memory_used_bytes", "Memory of this process and its children.", machine and machine.process_bytes),
        ("memory_free_bytes", "Memory that processes can still take.", machine and machine.free_bytes),
        ("disk_free_bytes", "Free space of the folder for data.", machine and machine.disk_free_bytes),
        ("disk_size_bytes", "Size of the disk of the folder for data.", machine and machine.disk_total_bytes),
    ):
        yield _gauge(f"chatbill_{name}", words, (), _one(value or None))
    gpus = machine.gpus if machine else ()
    used = [((gpu.name,), float(gpu.used_bytes)) for gpu in gpus]
    yield _gauge("chatbill_gpu_memory_used_bytes", "Memory in use on a GPU.", ("gpu",), used)
    size = [((gpu.name,), float(gpu.total_bytes)) for gpu in gpus]
    yield _gauge("chatbill_gpu_memory_size_bytes", "Memory of a GPU.", ("gpu",), size)


def _pools(figures: Figures | None) -> Iterator[Metric]:
    pools = figures.pools if figures else {}
    for name, words in (
        ("size", "The most connections to the database in this process."),
        ("connections", "Connections to the database that are open."),
        ("busy", "Connections to the database that are in use."),
        ("waiting", "Calls that wait for a connection."),
    ):
        samples = [((pool,), float(getattr(each, name))) for pool, each in pools.items()]
        yield _gauge(f"chatbill_store_pool_{name}", words, ("pool",), samples)


def _backup(figures: Figures | None) -> Iterator[Metric]:
    """Yield the moment of the last backup: a rule then also notices that the process has ceased to look."""
    last = figures.backup if figures else None
    made_at = last.made_at.timestamp() if last and last.made_at else 0.0
    words = "When the last complete backup was made; 0 if the place holds none, no sample where none are made."
    yield _gauge("chatbill_backup_last_timestamp_seconds", words, (), _one(made_at if last else None))


def _stored(stored: StoredFigures | None, now: datetime | None) -> Iterator[Metric]:
    holds = [(("open",), float(stored.open_holds)), (("expired",), float(stored.expired_holds))] if stored else []
    yield _gauge("chatbill_holds", "Pending holds; `expired` are those whose time is over.", ("state",), holds)
    jobs = [(key, float(count)) for key, count in stored.jobs.items()] if stored else []
    yield _gauge("chatbill_jobs", "Jobs by state.", ("kind", "state"), jobs)
    alerts = [((kind,), float(count)) for kind, count in stored.open_alerts.items()] if stored else []
    yield _gauge("chatbill_alerts_open", "Alerts of the product that are open.", ("kind",), alerts)
    for name, words, since in (
        ("outbox_oldest_event_age", "Age of the oldest event in the outbox.", stored and stored.oldest_event_at),
        ("jobs_oldest_due_age", "Time that the oldest due job has waited.", stored and stored.oldest_due_at),
    ):
        age = [((), max(0.0, (now - since).total_seconds()))] if now and since else _one(0 if stored else None)
        yield _gauge(f"chatbill_{name}_seconds", words, (), age)


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [((), float(value))]


def _gauge(name: str, words: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, value in samples:
        family.add_metric(list(values), value)
    return family
