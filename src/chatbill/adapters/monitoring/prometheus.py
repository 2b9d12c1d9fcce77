"""Metrics for Prometheus, in a registry of this process.

Labels have few values: routes are templates, models are those of the catalogue, and no label holds a user, an address
or free text. Names and units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from chatbill.adapters.monitoring.state_collector import StateCollector
from chatbill.application.ports.metrics import Figures
from chatbill.domain.billing.events import BillingEvent, EventKind
from chatbill.domain.chat.interactions import Interaction

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
REPLY_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 90, 120)
STORE_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
JOB_BUCKETS_S: Final = (0.01, 0.1, 1, 10, 60, 600)


class PrometheusMetrics:
    """Counts in a registry of its own, so that several may be in one process."""

    def __init__(self, *, version: str = "") -> None:
        # Or each counter would have a second series, which no query needs.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "chatbill_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._request_s = Histogram(
            "chatbill_request_duration_seconds",
            "Time to the end of the answer, which for a stream is that of the reply.",
            ("route",),
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
        self._credits = _credits(registry)
        self._store_s = Histogram(
            "chatbill_store_duration_seconds",
            "Time of a transaction or a snapshot, waiting included.",
            ("operation",),
            buckets=STORE_BUCKETS_S,
            registry=registry,
        )
        self._store_errors = Counter(
            "chatbill_store_errors", "Calls that the database did not answer.", registry=registry
        )
        self._jobs = Counter("chatbill_job_attempts", "Attempts of jobs.", ("kind", "outcome"), registry=registry)
        self._job_s = Histogram(
            "chatbill_job_duration_seconds",
            "Time of an attempt of a job.",
            ("kind",),
            buckets=JOB_BUCKETS_S,
            registry=registry,
        )
        self._replies = _ReplyMetrics(registry)
        self._state = StateCollector()
        registry.register(self._state)
        for collector in (ProcessCollector, GCCollector, PlatformCollector):
            collector(registry=registry)
        Gauge("chatbill_info", "The version that runs.", ("version",), registry=registry).labels(version).set(1)

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, f"{status // 100}xx").inc()
        self._request_s.labels(route).observe(seconds)

    def reply_ended(self, interaction: Interaction) -> None:
        """Count a reply."""
        self._replies.count(interaction)

    def credits_moved(self, event: BillingEvent) -> None:
        """Count credits by kind."""
        kind = "taken" if event.kind is EventKind.ADJUSTED and event.amount < 0 else _KINDS[event.kind]
        self._credits.labels(kind).inc(abs(event.amount))

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Count a transaction or a snapshot."""
        self._store_s.labels("write" if is_write else "read").observe(seconds)
        if failed:
            self._store_errors.inc()

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Count an attempt of a job."""
        self._jobs.labels(kind, outcome).inc()
        self._job_s.labels(kind).observe(seconds)

    def observed(self, figures: Figures) -> None:
        """Show these figures from now on."""
        self._state.figures = figures

    def rendered(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


_KINDS: Final[dict[EventKind | str, str]] = {**{kind: kind.value for kind in EventKind}, "taken": "taken"}


def _credits(registry: CollectorRegistry) -> Counter:
    """Return the counter, in which each kind is 0 from the start."""
    counter = Counter(
        "chatbill_credits", "Credits moved; `taken` are those of negative adjustments.", ("kind",), registry=registry
    )
    for kind in _KINDS.values():
        counter.labels(kind)
    return counter


class _ReplyMetrics:
    """What is counted of replies, by model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._replies = Counter(
            "chatbill_replies", "Replies that were settled.", ("model", "outcome"), registry=registry
        )
        self._cached = Counter(
            "chatbill_cached_replies", "Replies that came from the cache.", ("model",), registry=registry
        )
        self._errors = Counter(
            "chatbill_reply_errors", "Replies that were not completed, by error.", ("model", "code"), registry=registry
        )
        self._tokens = Counter("chatbill_tokens", "Tokens of replies.", ("model", "kind"), registry=registry)
        self._reply_s = Histogram(
            "chatbill_reply_duration_seconds",
            "Time from acceptance to the end of a reply.",
            ("model",),
            buckets=REPLY_BUCKETS_S,
            registry=registry,
        )
        self._first_token_s = Histogram(
            "chatbill_first_token_seconds",
            "Time from acceptance to the first token.",
            ("model",),
            buckets=REPLY_BUCKETS_S,
            registry=registry,
        )

    def count(self, interaction: Interaction) -> None:
        model = interaction.model
        self._replies.labels(model, interaction.outcome.value).inc()
        self._reply_s.labels(model).observe((interaction.processing_time_ms or 0) / 1_000)
        self._tokens.labels(model, "prompt").inc(interaction.usage.prompt_tokens)
        self._tokens.labels(model, "completion").inc(interaction.usage.completion_tokens)
        if interaction.first_token_ms is not None:
            self._first_token_s.labels(model).observe(interaction.first_token_ms / 1_000)
        if interaction.cached:
            self._cached.labels(model).inc()
        if interaction.error_code:
            self._errors.labels(model, interaction.error_code).inc()
