"""The store in one SQLite file: one thread writes, a few read, any number of callers wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sqlite.driver import connect_to_read, connect_to_write, load_driver, sqlite_database
from chatbill.adapters.persistence.sqlite.opened_file import OpenedFile
from chatbill.adapters.persistence.sqlite.workers import SqliteReader, SqliteWriter
from chatbill.adapters.persistence.threads.store_threads import StoreThreads
from chatbill.application.ports.metrics import PoolFigures
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
        database, file = sqlite_database(load_driver(), Prefix(prefix)), OpenedFile(self.path)
        to_write = partial(connect_to_write, database, file, busy_timeout_s=busy_timeout_s)
        to_read = partial(connect_to_read, database, file, busy_timeout_s=busy_timeout_s)
        self._writer = StoreThreads(
            "store-writer",
            partial(SqliteWriter, to_write),
            threads=1,
            queue_size=queue_size,
            wait_s=queue_timeout_s,
            batch_size=batch_size,
        )
        self._readers = StoreThreads(
            "store-reader",
            partial(SqliteReader, to_read),
            threads=readers,
            queue_size=queue_size,
            wait_s=queue_timeout_s,
        )

    def pools(self) -> Mapping[str, PoolFigures]:
        """Return the connections that write and those that read."""
        return {"write": self._writer.figures(), "read": self._readers.figures()}

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the writing thread; return when its commit is on disk."""
        return await self._writer.run(work)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` on a reading thread; it sees every write that was confirmed before."""
        return await self._readers.run(query)

    async def close(self) -> None:
        """Finish the jobs accepted so far, and end all threads."""
        await self._writer.close()
        await self._readers.close()
