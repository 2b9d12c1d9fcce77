"""Let other threads run more often while a report is added up, so that replies and charges do not wait for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TURN_S: Final = 0.0001
"""How long a thread may run while others wait. Python's default is fifty times as long, and a charge waits several
times."""

WORK_S: Final = 0.001
REST_S: Final = 0.00025
"""How long a report adds up before it rests, and how long it does so. It takes a third longer in all."""

_lock = threading.Lock()
_running = 0
_usual_s = 0.0


@contextmanager
def short_turns() -> Iterator[None]:
    """Shorten the turns of threads within the block; the last block that ends restores them."""
    global _running, _usual_s  # noqa: PLW0603 - the interval is one of the whole process
    with _lock:
        if _running == 0:
            _usual_s = sys.getswitchinterval()
            sys.setswitchinterval(min(TURN_S, _usual_s))
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                sys.setswitchinterval(_usual_s)


class Rests:
    """Leaves the interpreter to other threads for a part of the time. Call it again and again during long work."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def __call__(self) -> None:
        """Rest, if the work has gone on for long enough."""
        if time.perf_counter() - self._since > WORK_S:
            time.sleep(REST_S)
            self._since = time.perf_counter()
