"""The store in a PostgreSQL database: any number of processes, each with a few threads that have a connection each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import URL

from chatbill.adapters.persistence.postgres.driver import (
    PATIENCE,
    Timeouts,
    connect_for_store,
    load_driver,
    postgres_database,
)
from chatbill.adapters.persistence.postgres.worker import TO_READ, TO_WRITE, Workers
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.threads.jobs import Job
from chatbill.application.ports.store import Snapshot, Transaction

T = TypeVar("T")


class PostgresStore:
    """Keeps everything in the database at `address`, in the tables that `schema.upgrade` makes with this `prefix`.

    At most `writers` transactions and `readers` snapshots are under way, each on a connection that lasts. Up to
    `queue_size` of either may wait, and each gives up after `queue_timeout_s` seconds. Beyond each bound, and where
    the server cannot be reached, the error is `StoreUnavailable`; it is reached again as soon as it is back.

    Writes are READ COMMITTED with locks on rows. Work is run again, a few times, after a deadlock, a serialization
    failure, or a connection that was lost before COMMIT was sent. When it is lost after that, nobody knows whether
    the work was kept: `StoreUnavailable` says no more than that, and a caller asks again in a way that has one effect.

    Nothing is opened before the first call. Usable from any event loop and from several at once.
    """

    def __init__(
        self,
        address: URL,
        *,
        writers: int = 8,
        readers: int = 4,
        queue_size: int = 10_000,
        queue_timeout_s: float = 10.0,
        timeouts: Timeouts = PATIENCE,
        prefix: str = "",
    ) -> None:
        self._queue_timeout_s = queue_timeout_s
        connect = partial(connect_for_store, postgres_database(load_driver(), Prefix(prefix)), address, timeouts)
        self._writers = Workers("store-writer", connect, TO_WRITE, threads=writers, queue_size=queue_size)
        self._readers = Workers("store-reader", connect, TO_READ, threads=readers, queue_size=queue_size)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a writing thread; return when its commit is on the server's disk."""
        job: Job[Transaction, T] = Job(work, wait_s=self._queue_timeout_s)
        self._writers.jobs.put(job)
        return await job.result()

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` on a reading thread; it sees every write that was answered before."""
        job: Job[Snapshot, T] = Job(query, wait_s=self._queue_timeout_s)
        self._readers.jobs.put(job)
        return await job.result()

    async def close(self) -> None:
        """Finish what was asked before, and end all threads but those for which the server has no answer."""
        await asyncio.gather(*(asyncio.to_thread(each.jobs.close) for each in (self._writers, self._readers)))
