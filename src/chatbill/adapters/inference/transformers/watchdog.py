"""A thread that checks every model at intervals and never waits for one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)


class Watchdog:
    """Calls `check` every `every_s` seconds from `start` to `stop`; an error of it is logged and ends nothing."""

    def __init__(self, check: Callable[[], None], *, every_s: float) -> None:
        self._check = check
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="model-watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop checking."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._check()
            except Exception:  # noqa: BLE001 - no error may end the checks
                _log.exception("watchdog_failed")
