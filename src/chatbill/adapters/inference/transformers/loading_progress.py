"""How far a model has come on its way into memory, in figures and in words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatbill.adapters.inference.weights.fetch import Progress

_EVERY_S = 0.5
_WORDS = {
    "wait": "it waits for another process that fetches it",
    "download": "it is being fetched",
    "check": "its files are being checked",
    "unpack": "its files are being unpacked",
    "convert": "its files are being converted",
    "turn": "it waits until other models are loaded",
    "room": "it waits for another model to make room",
    "load": "it is being loaded",
}


def words_of(progress: Progress | None) -> str:
    """For people, as in "it is being loaded, 40 %"."""
    words = _WORDS.get(progress.stage if progress else "", _WORDS["load"])
    if progress and progress.total_bytes and progress.stage in {"download", "load"}:
        words += f", {100 * progress.done_bytes // progress.total_bytes} %"
    return words


@contextmanager
def watching_load(free_bytes: Callable[[], int], total_bytes: int, tell: Callable[[Progress], None]) -> Iterator[None]:
    """Tell twice a second how much of a model is in memory, judged by how much less of it is free than before.

    Other processes take and give memory too, so this is a figure to look at and not one to decide by.
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
