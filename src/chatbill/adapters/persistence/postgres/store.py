"""The store in a PostgreSQL database, which any number of processes use, each by a few threads with connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from sqlalchemy import URL

from chatbill.adapters.persistence.postgres.driver import (
    DEFAULT_TIMEOUTS,
    Timeouts,
    connect_for_store,
    load_driver,
    postgres_database,
)
from chatbill.adapters.persistence.postgres.worker import READ_ONLY, READ_WRITE, PostgresWorker
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.threads.store_threads import StoreThreads
from chatbill.application.ports.metrics import PoolFigures
from chatbill.application.ports.store import Snapshot, Transaction

T = TypeVar("T")


class PostgresStore:
    """Keeps everything in the database at `address`, in the tables that `schema.upgrade` makes with this `prefix`.

    At most `writers` transactions and `readers` snapshots run at a time, each on a connection of its own. Up to
    `queue_size` of either may wait, and each gives up after `queue_timeout_s` seconds. Beyond each bound, and while
    the server cannot be reached, the error is `StoreUnavailable`; the store reconnects by itself.

    Writes are READ COMMITTED with locks on rows. Work runs again, a few times, after a deadlock, a serialization
    failure, or a connection that was lost before COMMIT was sent. If it is lost after that, the outcome is unknown and
    the error is `StoreUnavailable`: the caller has to repeat the request in a way that has one effect.

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
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        prefix: str = "",
    ) -> None:
        connect = partial(connect_for_store, postgres_database(load_driver(), Prefix(prefix)), address, timeouts)
        self._writers = StoreThreads(
            "store-writer",
            partial(PostgresWorker, connect, READ_WRITE),
            threads=writers,
            queue_size=queue_size,
            wait_s=queue_timeout_s,
        )
        self._readers = StoreThreads(
            "store-reader",
            partial(PostgresWorker, connect, READ_ONLY),
            threads=readers,
            queue_size=queue_size,
            wait_s=queue_timeout_s,
        )

    def pools(self) -> Mapping[str, PoolFigures]:
        """Return the connections that write and those that read."""
        return {"write": self._writers.figures(), "read": self._readers.figures()}

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a writing thread; return when its commit is on the server's disk."""
        return await self._writers.run(work)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` on a reading thread; it sees every write that was confirmed before."""
        return await self._readers.run(query)

    async def close(self) -> None:
        """Finish the jobs accepted so far, and end all threads except those that wait for a silent server."""
        await asyncio.gather(self._writers.close(), self._readers.close())
