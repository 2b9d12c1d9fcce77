"""How long a model of this machine may take to load, to write and to recover, and what it may keep."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.adapters.inference.availability.health import CircuitBreaker, Fault, Health, ProbeIntervals
from chatbill.domain.shared.descriptions import Description

_FIRST_PAUSE_S = 5.0
_MAX_DOUBLINGS = 6
"""Pauses between probes double up to 5 * 2**6 = 320 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """Limits of the life of a model; times in seconds.

    A request waits `load_wait_s` for its model to be loaded. A model whose loading made no progress for
    `load_timeout_s` is unavailable until that ends. One that has written nothing for `probe_interval_s` is probed
    (0: never); one that is busy and shows no progress for `stuck_after_s` is replaced. After `failures` failed replies
    in a row it is taken out. One that could not be loaded is tried again after `retry_s`. The models are checked every
    `check_interval_s`. What was read in conversations is kept in `prefix_bytes` (None: as much as the replies of the
    model may take) until it was not used for `prefix_ttl_s`.
    """

    load_wait_s: float = 60.0
    load_timeout_s: float = 1_800.0
    probe_interval_s: float = 30.0
    stuck_after_s: float = 120.0
    failures: int = 3
    retry_s: float = 60.0
    check_interval_s: float = 1.0
    prefix_bytes: int | None = None
    prefix_ttl_s: float = 3_600.0

    def health(self) -> Health:
        """Return the health of a model that is about to be loaded."""
        first_pause_s = min(_FIRST_PAUSE_S, self.retry_s)
        intervals = ProbeIntervals(
            idle_s=self.probe_interval_s,
            answer_s=self.stuck_after_s,
            first_pause_s=first_pause_s,
            max_pause_s=first_pause_s * 2**_MAX_DOUBLINGS,
        )
        return Health(intervals, CircuitBreaker(self.failures, _failed_repeatedly))


def _failed_repeatedly(failures: int) -> Fault:
    return Fault(Description.of("model_failed_repeatedly", failures=failures))
