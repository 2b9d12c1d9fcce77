"""The figures of the last hour of this process, for live views, advice and alerts."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from chatbill.application.monitoring.sketch import Sketch
from chatbill.application.ports.engine import ModelStatus
from chatbill.application.ports.metrics import Figures, Metrics, NoMetrics
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import ModelId

MINUTES: Final = 60
SIGN_IN_ROUTES: Final = frozenset({"/auth/login", "/web/session"})
REFUSED: Final = frozenset({401, 429})
SERVER_ERROR: Final = 500


@dataclass(slots=True)
class ModelMinutes:
    """What one model did. Times in milliseconds; those of replies that had no token are not in `first_token_ms`.

    `waiting_s` is for how long requests waited for their turn, while `batch_size` replies were written together.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    waiting_s: float = 0.0
    batch_size: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    processing_ms: Sketch = field(default_factory=Sketch)
    first_token_ms: Sketch = field(default_factory=Sketch)

    @property
    def replies(self) -> int:
        """Return the number of replies that ended."""
        return self.outcomes.total()

    def add(self, interaction: Interaction) -> None:
        """Count a reply."""
        self.outcomes[interaction.outcome.value] += 1
        if interaction.error_code:
            self.errors[interaction.error_code] += 1
        self.cached += interaction.cached
        self.prompt_tokens += interaction.usage.prompt_tokens
        self.completion_tokens += interaction.usage.completion_tokens
        self.processing_ms.add(interaction.processing_time_ms or 0)
        if interaction.first_token_ms is not None:
            self.first_token_ms.add(interaction.first_token_ms)

    def merge(self, other: ModelMinutes) -> None:
        """Count everything of another one."""
        self.outcomes.update(other.outcomes)
        self.errors.update(other.errors)
        self.waiting_s += other.waiting_s
        self.batch_size = other.batch_size or self.batch_size
        self.cached += other.cached
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.processing_ms.merge(other.processing_ms)
        self.first_token_ms.merge(other.first_token_ms)


@dataclass(slots=True)
class Recent:
    """What happened within some minutes. `seconds` is how long that was, at most since the start of the process."""

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    refused_sign_ins: int = 0
    latency_ms: Sketch = field(default_factory=Sketch)
    models: defaultdict[ModelId, ModelMinutes] = field(default_factory=lambda: defaultdict(ModelMinutes))

    def merge(self, other: Recent) -> None:
        """Count everything of another one."""
        self.requests += other.requests
        self.errors += other.errors
        self.refused_sign_ins += other.refused_sign_ins
        self.latency_ms.merge(other.latency_ms)
        for model, figures in other.models.items():
            self.models[model].merge(figures)


class RecentFigures:
    """Counts by minute for an hour, and passes everything on to `sink`. `now` is monotonic, in seconds."""

    def __init__(self, sink: Metrics | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._sink = sink or NoMetrics()
        self._now = now
        self._started = now()
        self._lock = threading.Lock()
        self._minutes: deque[tuple[int, Recent]] = deque(maxlen=MINUTES)

    def within(self, minutes: int = MINUTES) -> Recent:
        """Return what happened in the last `minutes`, the present one included."""
        merged, first = Recent(), int(self._now() // 60) - minutes + 1
        with self._lock:
            for number, minute in self._minutes:
                if number >= first:
                    merged.merge(minute)
        merged.seconds = max(1.0, self._now() - max(self._started, first * 60))
        return merged

    def sampled(self, models: Mapping[ModelId, ModelStatus], seconds: float) -> None:
        """Note that the models have been like this for so many seconds."""
        with self._lock:
            for model, status in models.items():
                if status.queued:
                    minutes = self._minute().models[model]
                    minutes.waiting_s += seconds
                    minutes.batch_size = status.at_once

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        with self._lock:
            minute = self._minute()
            minute.requests += 1
            minute.errors += status >= SERVER_ERROR
            minute.refused_sign_ins += status in REFUSED and route in SIGN_IN_ROUTES
            minute.latency_ms.add(seconds * 1_000)
        self._sink.request_answered(method=method, route=route, status=status, seconds=seconds)

    def reply_ended(self, interaction: Interaction) -> None:
        """Count a reply."""
        with self._lock:
            self._minute().models[interaction.model].add(interaction)
        self._sink.reply_ended(interaction)

    def credits_moved(self, event: BillingEvent) -> None:
        """Pass it on."""
        self._sink.credits_moved(event)

    def store_used(self, *, is_write: bool, seconds: float, failed: bool) -> None:
        """Pass it on."""
        self._sink.store_used(is_write=is_write, seconds=seconds, failed=failed)

    def job_ended(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Pass it on."""
        self._sink.job_ended(kind=kind, outcome=outcome, seconds=seconds)

    def observed(self, figures: Figures) -> None:
        """Pass it on."""
        self._sink.observed(figures)

    def _minute(self) -> Recent:
        number = int(self._now() // 60)
        if not self._minutes or self._minutes[-1][0] != number:
            self._minutes.append((number, Recent()))
        return self._minutes[-1][1]
