"""How far the loading of a model has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.domain.shared.descriptions import Param

_EVERY_S = 0.5
_WITH_PERCENT = {"download", "load"}


def progress_params(progress: Progress | None) -> dict[str, Param]:
    """Return the stage of loading and, where it is known, the percentage, as parameters of a description."""
    params: dict[str, Param] = {"stage": progress.stage if progress else "load"}
    if progress and progress.total_bytes and progress.stage in _WITH_PERCENT:
        params["percent"] = 100 * progress.done_bytes // progress.total_bytes
    return params


@contextmanager
def watching_load(free_bytes: Callable[[], int], total_bytes: int, tell: Callable[[Progress], None]) -> Iterator[None]:
    """Report twice a second how much of a model is in memory, judged by how much less of it is free than before.

    Other processes take and free memory too, so the figure is for display and no decision may depend on it.
    """
    ended, before = threading.Event(), free_bytes()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            taken = min(max(0, before - free_bytes()), int(total_bytes * 0.99))
            tell(Progress("load", taken, total_bytes))

    watcher = threading.Thread(target=watch, name="loading-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
