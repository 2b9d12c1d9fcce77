"""Measures whether anything gets slower as the ledger grows: `python -m benchmarks.growth [sqlite|postgres] [LARGEST]`.

One database for each size, and in it one person who has all the charges and another who is new. What they do is timed
in turns over all databases, so that a slow spell of the machine meets every size. The books are filled by the
repositories, as messages would fill them: a million charges take SQLite some minutes, and PostgreSQL an hour or so.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.charges import Person, machine, prove_the_books
from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.application.billing.list_transactions import ListTransactions
from chatbill.application.billing.read_balance import ReadBalance
from chatbill.application.chat.list_history import ListHistory
from chatbill.application.ports.store import Store
from chatbill.application.shared.paging import Page
from chatbill.domain.chat.interactions import Interaction
from tests.kit import postgres

SIZES = (1_000, 100_000, 1_000_000)
PAGE, LAST_PAGE = 10, 100
IN_ONE_TRANSACTION = 1_000
ROUNDS, TIMES = 20, 20
WANTED = 2.0


@dataclass(frozen=True)
class Grown:
    """A store whose `heavy` person has so many charges; `cursor` is where their hundredth page begins."""

    size: int
    store: Store
    heavy: Person
    new: Person
    cursor: str | None

    async def charge_of_the_one_with_all(self) -> None:
        await self.heavy.charge()

    async def charge_of_a_new_person(self) -> None:
        await self.new.charge()

    async def balance(self) -> None:
        assert (await ReadBalance(store=self.store)(self.heavy.principal)).posted

    async def first_page_of_history(self) -> None:
        await self._page(None)

    async def hundredth_page_of_history(self) -> None:
        await self._page(self.cursor)

    async def first_page_of_the_ledger(self) -> None:
        page = await ListTransactions(store=self.store)(self.heavy.principal, limit=PAGE)
        assert len(page.items) == PAGE

    async def _page(self, cursor: str | None) -> None:
        page = await ListHistory(store=self.store)(self.heavy.principal, limit=PAGE, cursor=cursor)
        assert len(page.items) == PAGE


MEASURED: tuple[Callable[[Grown], Awaitable[None]], ...] = (
    Grown.charge_of_the_one_with_all,
    Grown.charge_of_a_new_person,
    Grown.balance,
    Grown.first_page_of_history,
    Grown.hundredth_page_of_history,
    Grown.first_page_of_the_ledger,
)


async def grown(url: str, size: int) -> Grown:
    schema.upgrade(url)
    store = open_store(url)
    heavy, new = await Person.register(store, "heavy"), await Person.register(store, "new")
    started = time.perf_counter()
    for _ in range(0, size, IN_ONE_TRANSACTION):
        await heavy.charge_many(min(size, IN_ONE_TRANSACTION))
    print(f"{size:>9,} charges, filled in {time.perf_counter() - started:.0f} s", flush=True)
    page: Page[Interaction] | None = None
    for _ in range(LAST_PAGE - 1):
        cursor = page.next_cursor if page else None
        page = await ListHistory(store=store)(heavy.principal, limit=PAGE, cursor=cursor)
    assert page
    return Grown(size, store, heavy, new, page.next_cursor)


async def seconds_of(run: Callable[[Grown], Awaitable[None]], books: Grown) -> float:
    started = time.perf_counter()
    for _ in range(TIMES):
        await run(books)
    return (time.perf_counter() - started) / TIMES


async def main(addresses: Iterator[str], largest: int) -> None:
    print(machine())
    sizes = [size for size in SIZES if size <= largest]
    all_books = [await grown(next(addresses), size) for size in sizes]
    print(f"microseconds each, medians of {ROUNDS} rounds of {TIMES}; last against first, wanted {WANTED:g} at most")
    print(" " * 28 + "".join(f"{size:>12,}" for size in sizes) + "       ratio")
    for run in MEASURED:
        seen: list[list[float]] = [[] for _ in sizes]
        for _ in range(ROUNDS):
            for books, times in zip(all_books, seen, strict=True):
                times.append(await seconds_of(run, books))
        ratio = median(last / first for first, last in zip(seen[0], seen[-1], strict=True))
        name = run.__name__.replace("_", " ")
        print(f"{name:<28}" + "".join(f"{median(times) * 1e6:12,.0f}" for times in seen) + f"{ratio:12.2f}", flush=True)
    for books in all_books:
        await prove_the_books(books.store)
        await books.store.close()


@contextmanager
def addresses_of(kind: str) -> Iterator[Iterator[str]]:
    """Yields addresses for new databases."""
    if kind == "postgres":
        server = postgres.start(durable=True)
        try:
            yield iter(server.empty, "")
        finally:
            postgres.stop(server)
    else:
        with TemporaryDirectory(prefix="chatbill-benchmark-") as folder:
            yield (sqlite_url(Path(folder) / f"{size}.sqlite3") for size in SIZES)


if __name__ == "__main__":
    with addresses_of(sys.argv[1] if len(sys.argv) > 1 else "sqlite") as places:
        asyncio.run(main(places, int(sys.argv[2]) if len(sys.argv) > 2 else max(SIZES)))
