"""Measures reports over a year: `python -P -m benchmarks.reports [--rows N] [--postgres | --folder PATH]`.

Fills a database with interactions, their charges, and purchases, spread over a year before today. Then it measures how
long the roll-ups take to be made, how long each report of the whole year takes, how much memory the process needs, how
long a charge and a whole message take beside reports, and what a roll-up adds to a charge. With `--folder`, the SQLite
file is kept there and used again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.charges import Person
from benchmarks.llama_cpp import cpu_flags
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.adapters.system import SystemClock
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import Store
from chatbill.application.reports.financial_report import FinancialGroup, FinancialReport
from chatbill.application.reports.roll_up import RollUp
from chatbill.application.reports.usage_report import UsageGroup, UsageReport
from chatbill.domain.reports.periods import ReportPeriod, day_of
from tests.kit.postgres import shared
from tests.kit.support import CATALOGUE, MINI, RunningClock, world

PEOPLE = 500
CHARGES = 1_000
MODELS = ("demo-mini", "demo-pro")
ENDS = ("completed", "completed", "completed", "completed", "completed", "completed", "stopped", "failed", "timed_out")
NOW = day_of(datetime.now(UTC))
Row = tuple[Any, ...]

COLUMNS = {
    "wallets": "id posted held version overdraft owner_kind owner_id",
    "users": "id username username_key email email_key password_hash role wallet_id created_at",
    "conversations": "id user_id title created_at updated_at",
    "payments": "id user_id wallet_id package credits price_hundredths currency provider created_at status confirmed_at"
    " balance_after bonus",
    "holds": "id wallet_id amount created_at expires_at state captured refunded settled_at subject_kind subject_id"
    " purpose",
    "interactions": "id conversation_id user_id wallet_id hold_id model price_per_reply price_per_1k_prompt_tokens"
    " price_per_1k_completion_tokens held created_at outcome prompt_tokens completion_tokens credits_charged"
    " balance_after processing_time_ms finished_at prompt reply first_token_ms",
    "ledger_entries": "wallet_id wallet_version id kind debit credit amount balance_after description created_at"
    " hold_id interaction_id payment_id",
}


def rows_of(number: int, count: int) -> Iterator[tuple[str, Row]]:
    """Yield the rows of one person, with so many interactions, in the order in which they refer to each other."""
    dice = random.Random(number)  # noqa: S311 - rows of a benchmark
    name, wallet = f"person-{number:04}", f"wallet-{number:04}"
    began = NOW - timedelta(days=364)
    moments = sorted(began + timedelta(seconds=dice.randrange(363 * 86_400)) for _ in range(count))
    bought = [(began + timedelta(days=30 * month), None) for month in range(12)]
    acts: list[tuple[datetime, int | None]] = sorted(
        [*bought, *((moment, index) for index, moment in enumerate(moments))], key=lambda act: act[0]
    )
    entries: list[Row] = []
    sides: Row
    caused: Row
    others: list[tuple[str, Row]] = []
    balance = 0
    for at, index in acts:
        text = stamp(at)
        if index is None:
            balance += 21_000
            id_ = f"payment-{number:04}-{len(entries)}"
            paid = (id_, name, wallet, "large", 21_000, 1_999, "EUR", "any", text, "confirmed", text, balance, 1_000)
            others.append(("payments", paid))
            sides = ("top_up", "house:payments", f"wallet:{wallet}", 21_000)
            caused = ('{"code":"top_up","package":"large"}', text, None, None, id_)
        else:
            model, outcome = dice.choice(MODELS), dice.choice(ENDS)
            cost = (1 if model == "demo-mini" else 3) if outcome in {"completed", "stopped"} else 0
            took, id_ = dice.randrange(200, 30_000), f"interaction-{number:04}-{index}"
            hold, purpose = f"hold-{number:04}-{index}", json.dumps({"code": "reply", "model": model})
            begun = stamp(at - timedelta(milliseconds=took))
            state = "captured" if cost else "released"
            balance -= cost
            held = (hold, wallet, 3, begun, text, state, cost, 0, text, "interaction", id_, purpose)
            others.append(("holds", held))
            figures = (12, dice.randrange(5, 400), cost, balance, took, text)
            asked = (id_, f"talk-{number:04}", name, wallet, hold, model, cost, 0, 0, 3, begun, outcome)
            others.append(("interactions", (*asked, *figures, "What?", "Well.", took // 5)))
            if not cost:
                continue
            sides = ("charge", f"wallet:{wallet}", "house:revenue", cost)
            caused = (purpose, text, hold, id_, None)
        version = len(entries) + 1
        entries.append((wallet, version, f"entry-{number:04}-{version}", *sides, balance, *caused))
    yield "wallets", (wallet, balance, 0, len(entries), 0, "user", name)
    created = stamp(began)
    yield "users", (name, name, name, f"{name}@x.org", f"{name}@x.org", "-", "user", wallet, created)
    yield "conversations", (f"talk-{number:04}", name, "Talk", created, created)
    yield from others
    yield from (("ledger_entries", entry) for entry in entries)


def stamp(at: datetime) -> str:
    return f"{at.replace(tzinfo=None).isoformat('T', 'microseconds')}Z"


def fill_sqlite(path: Path, rows: int) -> None:
    connection = load_driver().connect(str(path))
    for number in range(PEOPLE):
        by_table: dict[str, list[Row]] = {}
        for table, row in rows_of(number, rows // PEOPLE):
            by_table.setdefault(table, []).append(row)
        for table, found in by_table.items():
            names = COLUMNS[table].split()
            marks = ", ".join("?" * len(names))
            connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", found)  # noqa: S608
        connection.commit()
    connection.execute("ANALYZE")
    connection.close()


def fill_postgres(url: str, rows: int) -> None:
    import psycopg  # noqa: PLC0415 - only here

    with psycopg.connect(url) as connection:
        for number in range(PEOPLE):
            by_table: dict[str, list[Row]] = {}
            for table, row in rows_of(number, rows // PEOPLE):
                by_table.setdefault(table, []).append(row)
            for table, found in by_table.items():
                names = ", ".join(COLUMNS[table].split())
                with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
                    for row in found:
                        copy.write_row(row)
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


async def measure(store: Store, rows: int, *, is_filled_before: bool) -> None:
    roll_up = RollUp(store=store, clock=SystemClock())
    with stopwatch("roll-ups"):
        await (roll_up() if is_filled_before else roll_up.rebuild())
    memory = most_memory()
    usage, financial = UsageReport(store=store, roll_up=roll_up), FinancialReport(store=store, roll_up=roll_up)
    for tz in ("UTC", "Asia/Kathmandu"):
        period = a_year(tz)
        for group in UsageGroup:
            with stopwatch(f"usage by {group}, a year in {tz}"):
                report = await usage.read(period, group, named=False)
            assert report.total.requests >= rows - PEOPLE
        for kind in FinancialGroup:
            with stopwatch(f"financial by {kind}, a year in {tz}"):
                await financial.read(period, kind, named=False)
    print(f"most memory: {memory} MiB before the reports, {most_memory()} MiB after them")
    person = await Person.register(store, f"someone-new-{time.time_ns()}")
    await roll_up.count()
    await beside("a charge", person.charge, usage)
    await beside("a whole message", await messages(store), usage)
    await roll_up.count()
    began = time.perf_counter()
    for _ in range(CHARGES):
        await person.charge()
    charged = time.perf_counter() - began
    began = time.perf_counter()
    await roll_up.count()
    counted = time.perf_counter() - began
    print(
        f"a charge: {charged / CHARGES * 1_000_000:.0f} µs; its roll-up: {counted / CHARGES * 1_000_000:.0f} µs, "
        f"{counted / charged:.1%} of it"
    )


@contextmanager
def stopwatch(what: str) -> Iterator[None]:
    """Print how long it took, and how much time of the CPU this process needed, without the server."""
    began, used = time.perf_counter(), time.process_time()
    yield
    took, used = time.perf_counter() - began, time.process_time() - used
    print(f"{what}: {took * 1_000:.0f} ms, {used * 1_000:.0f} ms of CPU", flush=True)


def a_year(tz: str) -> ReportPeriod:
    start, end = ((NOW - timedelta(days=days)).date().isoformat() for days in (364, 0))
    return ReportPeriod.of(start, end, tz, now=datetime.now(UTC))


async def messages(store: Store) -> Callable[[], Awaitable[None]]:
    """Return what sends a message of a new person to an engine that answers at once, and waits for its end."""
    name = f"writer-{time.time_ns()}"
    here = world(
        store=store,
        clock=RunningClock(),
        engine=ScriptedEngine(CATALOGUE),
        ids=name,
        welcome_credits=10**6,
    )
    person = await here.person(name)

    async def send() -> None:
        reply = await here.use_cases.chat.send_message(person, Message(model=MINI, text="hello"))
        await reply.finished()

    return send


async def beside(what: str, act: Callable[[], Awaitable[object]], usage: UsageReport) -> None:
    """Measure an act alone, and beside reports that follow each other, in turns."""
    period = a_year("UTC")
    alone: list[float] = []
    together: list[float] = []

    async def report() -> None:
        while True:
            await usage.read(period, UsageGroup.USER, named=False)
            await usage.read(period, UsageGroup.HOUR, named=False)

    for _ in range(3):
        alone += await timed(act)
        running = asyncio.create_task(report())
        together += await timed(act)
        running.cancel()
        await asyncio.wait([running])
    for part in (50, 95):
        one, other = (quantiles(each, n=100)[part - 1] * 1_000 for each in (alone, together))
        print(f"{what} alone / beside reports, percentile {part}: {one:.2f} / {other:.2f} ms, {other / one:.2f} times")


async def timed(act: Callable[[], Awaitable[object]]) -> list[float]:
    found = []
    for _ in range(CHARGES // 5):
        began = time.perf_counter()
        await act()
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    return found


def most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="interactions in all")
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL instead of SQLite")
    parser.add_argument("--folder", type=Path, help="where the SQLite file is kept, and used again")
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}; CPU flags: {cpu_flags()}")
    with tempfile.TemporaryDirectory(prefix="chatbill-benchmark-") as folder:
        path = (options.folder or Path(folder)) / "books.sqlite3"
        url = shared().fresh() if options.postgres else sqlite_url(path)
        began, is_filled_before = time.perf_counter(), path.exists()
        if options.postgres:
            fill_postgres(url, options.rows)
        elif not is_filled_before:
            schema.upgrade(url)
            fill_sqlite(path, options.rows)
        print(f"{options.rows:,} interactions of {PEOPLE} people: filled in {time.perf_counter() - began:.0f} s")

        async def run() -> None:
            store = open_store(url)
            try:
                await measure(store, options.rows, is_filled_before=is_filled_before)
            finally:
                await store.close()

        asyncio.run(run())


if __name__ == "__main__":
    main()
