"""A store that fails where it is told to: at any call of a repository, or after a commit whose answer is lost."""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import create_engine, select, text
from sqlalchemy.pool import NullPool

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.memory.tables import Table
from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from tests.torture.databases import Database

T = TypeVar("T")


def frozen(items: dict[str, Any]) -> MappingProxyType[str, Any]:
    """A mapping that nothing changes."""
    return MappingProxyType(items)


# Parameters of jobs are kept so, and pickle does not know how to write it.
copyreg.pickle(MappingProxyType, lambda mapping: (frozen, (dict(mapping),)))


class FaultyStore:
    """Counts the calls of repositories and the commits, and fails at those with these numbers, which begin at 1.

    Where a fault came inside a transaction, what is stored before and after is compared: nothing may be kept.
    """

    def __init__(
        self, store: Store, database: Database, *, call: int = 0, commit: int = 0, lasting: bool = False
    ) -> None:
        self._store, self._database = store, database
        self._bad_call, self._bad_commit, self._lasting = call, commit, lasting
        self.calls = self.commits = 0
        self.half_done: list[str] = []
        self.failed = False

    def heal(self) -> None:
        """No more faults."""
        self._bad_call = self._bad_commit = 0
        self._lasting = False

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """As the store does, up to the fault."""
        self._refuse_for_good()
        before = await dump(self._store, self._database) if self._bad_call else None
        try:
            value = await self._store.write(lambda tx: self._counted(work, tx))
        except StoreUnavailable:
            if before is not None and before != await dump(self._store, self._database):
                self.half_done.append(f"something was kept of the transaction that failed at call {self.calls}")
            raise
        self.commits += 1
        if self.commits == self._bad_commit:
            self.failed = True
            raise StoreUnavailable("The connection was lost after COMMIT was sent.")
        return value

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """As the store does, up to the fault."""
        self._refuse_for_good()
        return await self._store.read(lambda snapshot: self._counted(query, snapshot))

    async def close(self) -> None:
        """As the store does."""
        await self._store.close()

    def _counted(self, work: Callable[[Any], T], tx: Any) -> T:
        value = work(Counted(tx, self.step))
        self.step()  # the moment before COMMIT
        return value

    def step(self) -> None:
        """One more call; fail if this is the one."""
        self._refuse_for_good()
        self.calls += 1
        if self.calls == self._bad_call:
            self.failed = True
            raise StoreUnavailable(f"The fault at call {self.calls}.")

    def _refuse_for_good(self) -> None:
        if self._lasting and self.failed:
            raise StoreUnavailable("The database is still away.")


class Counted:
    """A transaction, or a repository of one, whose methods are told of before they run."""

    def __init__(self, inner: Any, step: Callable[[], None], depth: int = 0) -> None:
        self._inner, self._step, self._depth = inner, step, depth

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if self._depth == 0:
            return Counted(attribute, self._step, depth=1)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._step()
            return attribute(*args, **kwargs)

        return call


async def dump(store: Store, database: Database) -> dict[str, Any]:
    """Everything that is stored, table by table."""
    found: dict[str, Any] = {}
    if isinstance(store, MemoryStore):
        everything = store._everything
        for name, repository in vars(everything).items():
            for part, table in vars(repository).items():
                if isinstance(table, Table):
                    found[f"{name}.{part}"] = sorted(pickle.dumps(row) for row in table._kept.values())
        return found
    options: dict[str, Any] = {"module": load_driver()} if database.address.startswith("sqlite") else {}
    engine = create_engine(database.address, poolclass=NullPool, **options)
    with engine.connect() as connection:
        for name, table in metadata.tables.items():
            # Its columns are not written out: to compile them takes longer than to read the rows.
            rows = connection.execute(select(text("*")).select_from(table))
            found[name] = sorted(repr(tuple(row)) for row in rows)
    engine.dispose()
    return found
