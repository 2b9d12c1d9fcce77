"""Opens the store for the address of a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.postgres.driver import PROBE_TIMEOUTS
from chatbill.adapters.persistence.postgres.store import PostgresStore
from chatbill.adapters.persistence.sqlite.store import SqliteStore
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction

T = TypeVar("T")


def open_store(url: str, *, prefix: str = "") -> Store:
    """Return the store for `sqlite:////var/lib/chatbill/chatbill.sqlite3` or `postgresql://user:password@host/name`.

    `prefix` is what the names of chatbill's tables begin with, in a database that an app has tables in too. Nothing is
    opened or made yet; see `schema.upgrade`. Raises `ValueError` for an address that no store understands or a bad
    prefix, and `StoreUnavailable` where a package is missing.
    """
    address = parsed(url)
    if is_postgres(address):
        return PostgresStore(address, prefix=prefix)
    return SqliteStore(sqlite_path(address), prefix=prefix)


def open_probe_store(url: str, store: Store, *, prefix: str = "") -> Store | None:
    """Return a store with connections of its own for probes and leases, which must not wait behind other work.

    Where the server accepts no more connections, those of `store` are used. None for SQLite, whose file has one
    writer. Raises as `open_store`.
    """
    address = parsed(url)
    if not is_postgres(address):
        return None
    own = PostgresStore(
        address, writers=2, readers=1, queue_size=100, queue_timeout_s=2, timeouts=PROBE_TIMEOUTS, prefix=prefix
    )
    return _WithReserve(own, store)


class _WithReserve:
    """A store with another one for what it cannot do. Closing it leaves that one open."""

    def __init__(self, store: Store, reserve: Store) -> None:
        self._store = store
        self._reserve = reserve

    async def write(self, work: Callable[[Transaction], T]) -> T:
        try:
            return await self._store.write(work)
        except StoreUnavailable:
            return await self._reserve.write(work)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        try:
            return await self._store.read(query)
        except StoreUnavailable:
            return await self._reserve.read(query)

    async def close(self) -> None:
        await self._store.close()
