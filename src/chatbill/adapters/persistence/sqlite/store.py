"""The store in one SQLite file: one thread that writes, a few that read, any number of callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sqlite.driver import connect_to_read, connect_to_write, load_driver, sqlite_database
from chatbill.adapters.persistence.sqlite.place import Place
from chatbill.adapters.persistence.sqlite.readers import Readers
from chatbill.adapters.persistence.sqlite.writer import Writer
from chatbill.adapters.persistence.threads.jobs import Job
from chatbill.application.ports.store import Snapshot, Transaction

T = TypeVar("T")


class SqliteStore:
    """Keeps everything in the file `path`, in the tables that `schema.upgrade` makes with this `prefix`.

    Writes that wait at the same time share one durable commit, at most `batch_size` of them. Up to `queue_size`
    writes may wait, and as many reads; each gives up after `queue_timeout_s` seconds. Another process may write to
    the file too: this one waits `busy_timeout_s` seconds for it. Beyond each bound the error is `StoreUnavailable`.

    Nothing is opened before the first call. Usable from any event loop and from several at once.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        readers: int = 4,
        batch_size: int = 256,
        queue_size: int = 10_000,
        queue_timeout_s: float = 10.0,
        busy_timeout_s: float = 5.0,
        prefix: str = "",
    ) -> None:
        self.path = Path(path)
        self._queue_timeout_s = queue_timeout_s
        connection = (sqlite_database(load_driver(), Prefix(prefix)), Place(self.path))
        self._writer = Writer(
            partial(connect_to_write, *connection, busy_timeout_s=busy_timeout_s),
            queue_size=queue_size,
            batch_size=batch_size,
        )
        self._readers = Readers(
            partial(connect_to_read, *connection, busy_timeout_s=busy_timeout_s),
            threads=readers,
            queue_size=queue_size,
        )

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the writing thread; return when its commit is on disk."""
        job: Job[Transaction, T] = Job(work, wait_s=self._queue_timeout_s)
        self._writer.jobs.put(job)
        return await job.result()

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` on a reading thread; it sees every write that was answered before."""
        job: Job[Snapshot, T] = Job(query, wait_s=self._queue_timeout_s)
        self._readers.jobs.put(job)
        return await job.result()

    async def close(self) -> None:
        """Finish what was asked before, and end all threads."""
        await asyncio.to_thread(self._writer.jobs.close)
        await asyncio.to_thread(self._readers.jobs.close)
