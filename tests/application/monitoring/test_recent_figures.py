"""The last hour of a process, in minutes that pass when the test says so."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from chatbill.application.monitoring.recent_figures import RecentFigures
from chatbill.application.monitoring.sketch import Sketch
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import ModelId
from tests.kit.metrics import MemoryMetrics
from tests.kit.rows import interaction, later

MINI = ModelId("demo-mini")
ENDED = replace(
    interaction(),
    model=MINI,
    outcome=Outcome.COMPLETED,
    usage=Usage(prompt_tokens=3, completion_tokens=7),
    processing_time_ms=1_000,
    first_token_ms=100,
    finished_at=later(1),
    balance_after=1,
)


class Seconds:
    now = 30.0

    def __call__(self) -> float:
        return self.now


def answered(figures: RecentFigures, route: str = "/auth/me", status: int = 200, seconds: float = 0.1) -> None:
    figures.request_answered(method="GET", route=route, status=status, seconds=seconds)


def test_what_happened_is_forgotten_after_the_period() -> None:
    clock = Seconds()
    figures = RecentFigures(now=clock)
    answered(figures)
    clock.now += 240
    answered(figures, status=503)
    answered(figures, "/auth/login", 401)
    answered(figures, "/nowhere", 401)
    recent = figures.within(5)
    assert (recent.requests, recent.errors, recent.refused_sign_ins) == (4, 1, 1)
    assert recent.seconds == 240
    clock.now += 120
    assert figures.within(5).requests == 3
    assert figures.within(2).requests == 0
    clock.now += 4_000
    assert figures.within().requests == 0


def test_replies_are_counted_by_model_and_passed_on() -> None:
    sink = MemoryMetrics()
    figures = RecentFigures(sink, now=Seconds())
    figures.reply_ended(ENDED)
    figures.reply_ended(replace(ENDED, outcome=Outcome.FAILED, error_code="generation_failed", first_token_ms=None))
    minutes = figures.within().models[MINI]
    assert dict(minutes.outcomes) == {"completed": 1, "failed": 1}
    assert dict(minutes.errors) == {"generation_failed": 1}
    assert (minutes.prompt_tokens, minutes.completion_tokens, minutes.first_token_ms.count) == (6, 14, 1)
    assert len(sink.replies) == 2


def test_the_time_in_which_requests_wait_is_summed() -> None:
    clock = Seconds()
    figures = RecentFigures(now=clock)
    waiting = {MINI: ModelStatus(state=ModelState.READY, running=8, queued=3, at_once=8)}
    idle = {MINI: ModelStatus(state=ModelState.READY, at_once=8)}
    for status in (waiting, idle, waiting):
        figures.sampled(status, 2.0)
        clock.now += 60
    minutes = figures.within().models[MINI]
    assert (minutes.waiting_s, minutes.batch_size) == (4.0, 8)


def test_memory_stays_bounded_over_a_long_time() -> None:
    clock = Seconds()
    figures = RecentFigures(now=clock)
    for _ in range(500):
        answered(figures)
        clock.now += 60
    assert len(figures._minutes) == 60


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_percentiles_are_off_by_five_percent_at_most(percent: int) -> None:
    values = sorted(random.Random(1).lognormvariate(6, 1.5) for _ in range(5_000))
    halves = Sketch(), Sketch()
    for number, value in enumerate(values):
        halves[number % 2].add(value)
    halves[0].merge(halves[1])
    found, exact = halves[0].percentile(percent), values[len(values) * percent // 100 - 1]
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact
    assert Sketch().percentile(percent) is None


def test_a_sketch_takes_any_value() -> None:
    sketch = Sketch()
    for value in (0, -1, 1e12):
        sketch.add(value)
    assert sketch.count == 3
