"""The health of a model: when it last wrote a token, whether it refuses requests, and when it has to be probed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from chatbill.domain.shared.descriptions import Description


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why requests are refused, and the seconds after which one may succeed (None: unknown)."""

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
    """The intervals between probes of a model, in seconds.

    A model that wrote no token for `idle_s` is probed (0: never) and has `answer_s` more to write one. A model that
    refuses requests is probed after `first_pause_s`, then after twice as long each time, up to `max_pause_s`.
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
        self.probe_requested = False
        self.last_token_at: float | None = None
        self._intervals = intervals
        self._fault: Fault | None = None
        self._pause_s = intervals.first_pause_s
        self._next_probe_at = 0.0

    @property
    def fault(self) -> Fault | None:
        """Return why requests are refused until the model has written a token; None if they are accepted."""
        return self._fault or self.breaker.fault

    @property
    def is_known_to_write(self) -> bool:
        """True while its last token is recent enough, or while idle models are never probed."""
        intervals = self._intervals
        return not intervals.idle_s or self._silent_s() <= intervals.idle_s + intervals.answer_s

    @property
    def probe_in_s(self) -> float:
        """Return the seconds until the next probe is due: 0 now, infinity never."""
        if self.probe_requested:
            return 0.0
        if self.fault:
            return max(0.0, self._next_probe_at - time.monotonic())
        return max(0.0, self._intervals.idle_s - self._silent_s()) if self._intervals.idle_s else math.inf

    def record_token(self) -> None:
        """Record that the model wrote a token."""
        self.last_token_at = time.monotonic()

    def record_success(self) -> None:
        """Record that the model works: requests are accepted again, and earlier failures no longer count."""
        self.record_token()
        self.breaker.failures = 0
        self._fault, self.probe_requested = None, False
        self._pause_s, self._next_probe_at = self._intervals.first_pause_s, 0.0

    def request_probe(self) -> None:
        """Request a probe, after a failure that its own request may have caused."""
        self.probe_requested = True

    def record_failure(self) -> None:
        """Count a failure of the model; once the breaker is open, requests are refused."""
        self.breaker.failures += 1
        if self.fault:
            self._schedule_probe()

    def take_out(self, fault: Fault) -> None:
        """Refuse requests until the model has written a token."""
        self._fault = fault
        self._schedule_probe()

    def _schedule_probe(self) -> None:
        self.probe_requested = False
        now = time.monotonic()
        if now >= self._next_probe_at:  # replies that fail together must not add up to a long pause
            self._next_probe_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, self._intervals.max_pause_s)

    def _silent_s(self) -> float:
        return math.inf if self.last_token_at is None else time.monotonic() - self.last_token_at
