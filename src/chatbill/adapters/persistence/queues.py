"""A bounded queue of jobs, and the threads that serve it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from chatbill.adapters.persistence.jobs import AnyJob
from chatbill.application.ports.store import StoreUnavailable


class JobQueue:
    """Jobs in the order in which they came, for `threads` threads that each run `serve` until the queue is closed.

    The threads start with the first job. `serve` is given this queue and returns when `take` returns no jobs.
    """

    def __init__(self, name: str, serve: Callable[[JobQueue], None], *, threads: int, size: int) -> None:
        self._waiting: queue.SimpleQueue[AnyJob | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._size = size
        self._closed = False
        # Daemons, so that a process that forgot to close the store still ends.
        self._threads = [
            threading.Thread(target=serve, args=(self,), name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._started = False

    def put(self, job: AnyJob) -> None:
        """Queue a job. Raises `StoreUnavailable` when the store is closed or too many jobs wait."""
        with self._lock:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            if self._waiting.qsize() >= self._size:
                raise StoreUnavailable(f"The database is too busy: {self._size} requests wait for it already.")
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._waiting.put(job)

    def take(self, limit: int = 1) -> list[AnyJob]:
        """Wait for a job, and take those that wait behind it, up to `limit`. None at all means: closed."""
        first = self._waiting.get()
        if first is None:
            return []
        jobs = [first]
        try:
            while len(jobs) < limit:
                job = self._waiting.get_nowait()
                if job is None:
                    # For the next call.
                    self._waiting.put(None)
                    break
                jobs.append(job)
        except queue.Empty:
            pass
        return jobs

    def close(self) -> None:
        """Take no more jobs, and return when those that came in time are done. Safe to call again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
            started = self._started
        for thread in self._threads if started else ():
            thread.join()
