"""The health of a model: when it last wrote a token, whether it is out, and when it has to be probed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from chatbill.domain.shared.descriptions import Description


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a model is out, and after how many seconds another request may succeed (None: unknown)."""

    reason: Description
    retry_after_s: int | None = None


@dataclass(slots=True)
class CircuitBreaker:
    """Counts failures in a row and is open from `threshold` of them on; then only probes are sent.

    The libraries for this let a request of a user through to find out whether the model works again. Here probes do.
    """

    threshold: int
    describe: Callable[[int], Fault]
    failures: int = 0

    @property
    def fault(self) -> Fault | None:
        """Return why requests are refused; None while the breaker is closed."""
        return self.describe(self.failures) if self.failures >= self.threshold else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeIntervals:
    """When a model is probed, in seconds.

    A model that wrote no token for `idle_s` is probed (0: never) and has `answer_s` more to write one. A model that is
    out is probed after `first_pause_s`, then after twice as long each time, up to `max_pause_s`.
    """

    idle_s: float
    answer_s: float
    first_pause_s: float
    max_pause_s: float


class Health:
    """The health of one model, from its replies and its probes; `breaker` may be shared by the models of a server.

    Each method changes single attributes, so one thread may report what another one reads.
    """

    def __init__(self, intervals: ProbeIntervals, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.is_doubted = False
        self.wrote_at: float | None = None
        self._intervals = intervals
        self._fault: Fault | None = None
        self._pause_s = intervals.first_pause_s
        self._next_probe_at = 0.0

    @property
    def fault(self) -> Fault | None:
        """Return why the model is out: requests are refused until it has written a token."""
        return self._fault or self.breaker.fault

    @property
    def is_known_to_write(self) -> bool:
        """True while its last token is recent enough, or while idle models are never probed."""
        intervals = self._intervals
        return not intervals.idle_s or self._silent_s() <= intervals.idle_s + intervals.answer_s

    @property
    def probe_in_s(self) -> float:
        """Return the seconds until the next probe is due: 0 now, infinity never."""
        if self.is_doubted:
            return 0.0
        if self.fault:
            return max(0.0, self._next_probe_at - time.monotonic())
        return max(0.0, self._intervals.idle_s - self._silent_s()) if self._intervals.idle_s else math.inf

    def wrote(self) -> None:
        """Record a token."""
        self.wrote_at = time.monotonic()

    def works(self) -> None:
        """Record that the model works: it is in again, and earlier failures are forgotten."""
        self.wrote()
        self.breaker.failures = 0
        self._fault, self.is_doubted = None, False
        self._pause_s, self._next_probe_at = self._intervals.first_pause_s, 0.0

    def doubt(self) -> None:
        """Ask for a probe, after a failure that its own request may have caused."""
        self.is_doubted = True

    def failed(self) -> None:
        """Count a failure of the model; it is out once its breaker is open."""
        self.breaker.failures += 1
        if self.fault:
            self._schedule_probe()

    def take_out(self, fault: Fault) -> None:
        """Refuse requests until the model has written a token."""
        self._fault = fault
        self._schedule_probe()

    def _schedule_probe(self) -> None:
        self.is_doubted = False
        now = time.monotonic()
        if now >= self._next_probe_at:  # replies that fail together must not add up to a long pause
            self._next_probe_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, self._intervals.max_pause_s)

    def _silent_s(self) -> float:
        return math.inf if self.wrote_at is None else time.monotonic() - self.wrote_at
