"""What looks at every model from time to time, on a thread of its own, and never waits for one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)


class Watchdog:
    """Calls `look` every `every_s` seconds from `start` to `stop`; what it raises is logged and ends nothing."""

    def __init__(self, look: Callable[[], None], *, every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; a second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="model-watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - whatever one look met, the next one must come
                _log.exception("watchdog_failed")
