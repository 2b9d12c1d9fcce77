"""What is known of a loaded model's health: when it last wrote a token, and when it should be tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto

from chatbill.adapters.inference.transformers.worker import Worker

_FIRST_TRIAL_S = 5.0
_MOST_TRIALS = 6
"""Pauses double up to 5 * 2**6 = 320 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeBounds:
    """Bounds on the life of a model; times in seconds.

    A request waits `load_wait_s` for its model to be loaded. One whose loading has not got further for
    `load_timeout_s` is given up until that ends. A model that has written nothing for `probe_interval_s`
    is tried (0: never); one that works on something and shows no life for `stuck_after_s` is given up. After
    `failures` failed replies in a row it is taken out. One that could not be loaded is tried again after `retry_s`.
    `look_every_s` is how often models are looked at.
    """

    load_wait_s: float = 60.0
    load_timeout_s: float = 1_800.0
    probe_interval_s: float = 30.0
    stuck_after_s: float = 120.0
    failures: int = 3
    retry_s: float = 60.0
    look_every_s: float = 1.0


class Verdict(Enum):
    """What is to be done with a model."""

    NOTHING = auto()
    PROBE = auto()
    REPLACE = auto()


class Health:
    """Judges one worker from the outside; `look` is for the watchdog, `heard` for the model's thread."""

    def __init__(self, bounds: LifeBounds) -> None:
        self._bounds = bounds
        self._tokens = 0
        self._trials = 0
        self._next_trial_at = 0.0
        self._taken_out = False
        self._wrote_at = time.monotonic()

    @property
    def is_vouched_for(self) -> bool:
        """True when it has written a token not long ago, or nobody wants to know."""
        if not self._bounds.probe_interval_s:
            return True
        return time.monotonic() - self._wrote_at <= self._bounds.probe_interval_s + self._bounds.stuck_after_s

    def is_taken_out(self, worker: Worker) -> bool:
        """True while it must not be asked because it keeps failing."""
        return worker.failures >= self._bounds.failures

    def look(self, worker: Worker) -> Verdict:
        """What is to be done now."""
        now = time.monotonic()
        if worker.tokens_written != self._tokens:
            self._tokens, self._wrote_at = worker.tokens_written, now
        if worker.busy:
            # Its own tokens tell more than a trial would, which could only delay them.
            return Verdict.REPLACE if now - worker.beat_at > self._bounds.stuck_after_s else Verdict.NOTHING
        if self.is_taken_out(worker):
            if not self._taken_out:
                self._taken_out, self._trials = True, 0
                self._next_trial_at = now + self._pause()
            return Verdict.PROBE if now >= self._next_trial_at else Verdict.NOTHING
        self._taken_out = False
        if worker.doubted:
            return Verdict.PROBE
        idle = self._bounds.probe_interval_s and now - self._wrote_at >= self._bounds.probe_interval_s
        return Verdict.PROBE if idle else Verdict.NOTHING

    def heard(self, *, works: bool) -> None:
        """How a trial ended."""
        now = time.monotonic()
        if works:
            self._wrote_at, self._trials = now, 0
        else:
            self._trials = min(self._trials + 1, _MOST_TRIALS)
            self._next_trial_at = now + self._pause()

    def _pause(self) -> float:
        return float(min(_FIRST_TRIAL_S, self._bounds.retry_s) * 2**self._trials)
