"""The threads of a store: a bounded queue of jobs, and workers that run them on connections of their own."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.threads.jobs import AnyJob, Deadlines, Job, deliver, fail_all
from chatbill.application.ports.metrics import PoolFigures
from chatbill.application.ports.store import StoreUnavailable

CLOSE_WITHIN_S = 5.0
RECONNECT_PAUSE_S = 0.5
"""How long a worker without a connection leaves the jobs to workers that have one."""

C = TypeVar("C", bound=Connection)
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Worker(ABC, Generic[C]):
    """Runs jobs on one thread, on a connection that is opened when needed and replaced after a failure."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._session: tuple[C, SqlTransaction] | None = None

    @property
    def is_connected(self) -> bool:
        """True while the worker has a connection that has not failed."""
        return self._session is not None

    def session(self) -> tuple[C, SqlTransaction]:
        """Return the connection and its repositories, after connecting if needed. Raises `StoreUnavailable`."""
        if self._session is None:
            connection = self._connect()
            self._session = connection, SqlTransaction(connection)
        return self._session

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        session, self._session = self._session, None
        if session:
            session[0].close()

    @abstractmethod
    def run(self, jobs: Sequence[AnyJob]) -> None:
        """Run the jobs and record the outcome of each. Must not raise."""


class StoreThreads:
    """Runs jobs in the order in which they came, on up to `threads` threads with one worker each.

    A thread starts when a job comes and no thread is idle. Each thread takes up to `batch_size` waiting jobs at once.
    Up to `queue_size` jobs may wait, each up to `wait_s` seconds.
    """

    def __init__(
        self,
        name: str,
        new_worker: Callable[[], Worker[Any]],
        *,
        threads: int,
        queue_size: int,
        wait_s: float,
        batch_size: int = 1,
    ) -> None:
        self._name = name
        self._new_worker = new_worker
        self._max_threads = threads
        self._queue_size = queue_size
        self._wait_s = wait_s
        self._batch_size = batch_size
        self._waiting: queue.SimpleQueue[AnyJob | None] = queue.SimpleQueue()  # None ends a thread
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False
        self._busy = 0
        self._threads: list[threading.Thread] = []
        self._workers: list[Worker[Any]] = []
        self._deadlines: WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines] = WeakKeyDictionary()

    async def run(self, work: Callable[[Any], T]) -> T:
        """Run `work` on a thread, and return its result or raise its error.

        Raises `StoreUnavailable` if too many jobs wait, this one waits too long, no connection can be made, or the
        store is closed.
        """
        job: Job[Any, T] = Job(work, wait_s=self._wait_s)
        self._put(job)
        deadlines = self._deadlines.get(job.loop)
        if deadlines is None:
            deadlines = self._deadlines[job.loop] = Deadlines()
        deadlines.add(job)
        try:
            return await job.result()
        finally:
            deadlines.forget()

    def figures(self) -> PoolFigures:
        """Return how many workers are connected and how many are busy, and how many jobs wait."""
        return PoolFigures(
            size=self._max_threads,
            connections=sum(worker.is_connected for worker in self._workers),
            busy=self._busy,
            waiting=self._waiting.qsize(),
        )

    async def close(self) -> None:
        """Refuse new jobs, and return when the accepted ones are done, or after `CLOSE_WITHIN_S` seconds.

        A thread that still waits for the database then is not stopped; it ends with the process. May be called again.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        until = time.monotonic() + CLOSE_WITHIN_S
        for thread in self._threads:
            thread.join(max(0, until - time.monotonic()))
            if thread.is_alive():
                _log.error("store_thread_left", extra={"thread_name": thread.name})

    def _put(self, job: AnyJob) -> None:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            if self._waiting.qsize() >= self._queue_size:
                raise StoreUnavailable(f"The database is too busy: {self._queue_size} requests wait for it already.")
            self._waiting.put(job)
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._max_threads:
                # A daemon thread, so that a process that did not close the store can end.
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _take(self) -> list[AnyJob]:
        """Wait for a job; return it and those waiting behind it, up to the batch size. Return no jobs once closed."""
        try:
            job = self._waiting.get_nowait()
        except queue.Empty:
            self._idle.release()
            job = self._waiting.get()
        jobs: list[AnyJob] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == self._batch_size:
                return jobs
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return jobs
        if jobs:
            self._waiting.put(None)  # for the next call
        return jobs

    def _serve(self) -> None:
        worker = self._new_worker()
        self._workers.append(worker)
        while jobs := self._take():
            self._count_busy(1)
            self._run(worker, jobs)
            self._count_busy(-1)
            del jobs  # otherwise they stay in memory until the next job comes
        worker.disconnect()

    def _count_busy(self, change: int) -> None:
        with self._lock:
            self._busy += change

    def _run(self, worker: Worker[Any], jobs: list[AnyJob]) -> None:
        failure: Exception | None = None
        try:
            worker.session()
        except Exception as error:  # noqa: BLE001 - the callers get it
            if any(other.is_connected for other in self._workers):
                # The server may accept no more connections. The other workers do these jobs, after those that wait.
                for job in jobs:
                    self._waiting.put(job)
                time.sleep(RECONNECT_PAUSE_S)
                return
            failure = error
        claimed = [job for job in jobs if job.claim()]
        if failure:
            fail_all(claimed, failure)
        elif claimed:
            worker.run(claimed)
        deliver(claimed)
