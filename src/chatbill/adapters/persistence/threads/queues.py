"""A bounded queue of jobs, and the threads that serve it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from chatbill.adapters.persistence.threads.jobs import AnyJob
from chatbill.application.ports.store import StoreUnavailable

CLOSE_WITHIN_S = 5.0

_log = logging.getLogger(__name__)


class JobQueue:
    """Jobs in the order in which they came, for up to `threads` threads that each run `serve` until it is closed.

    A thread starts when a job comes and none is idle. `serve` is given this queue and returns when `take` returns no
    jobs.
    """

    def __init__(self, name: str, serve: Callable[[JobQueue], None], *, threads: int, size: int) -> None:
        self._name = name
        self._serve = serve
        self._most = threads
        self._size = size
        self._waiting: queue.SimpleQueue[AnyJob | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def put(self, job: AnyJob) -> None:
        """Queue a job. Raises `StoreUnavailable` when the store is closed or too many jobs wait."""
        with self._lock:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            if self._waiting.qsize() >= self._size:
                raise StoreUnavailable(f"The database is too busy: {self._size} requests wait for it already.")
            self._waiting.put(job)
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                self._start()

    def put_back(self, job: AnyJob) -> None:
        """Leave a job that was taken to another thread."""
        self._waiting.put(job)

    def take(self, limit: int = 1) -> list[AnyJob]:
        """Wait for a job, and take those that wait behind it, up to `limit`. None at all means: closed."""
        try:
            first = self._waiting.get_nowait()
        except queue.Empty:
            self._idle.release()
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
        """Take no more jobs, and return when those that came in time are done, or after `CLOSE_WITHIN_S` seconds.

        A thread that waits for a database which says nothing is left to it, and ends with the process. Safe to call
        again.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
        until = time.monotonic() + CLOSE_WITHIN_S
        for thread in self._threads:
            thread.join(max(0, until - time.monotonic()))
            if thread.is_alive():
                _log.error("the thread %s still waits for the database and is left", thread.name)

    def _start(self) -> None:
        # A daemon, so that a process that forgot to close the store still ends.
        thread = threading.Thread(
            target=self._serve, args=(self,), name=f"{self._name}-{len(self._threads)}", daemon=True
        )
        self._threads.append(thread)
        thread.start()
