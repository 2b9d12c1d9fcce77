"""`kill -9` of the PostgreSQL server under load: all of it and one of its processes, in turn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from chatbill.application.ports.store import Store, StoreUnavailable
from chatbill.application.shared.principal import Principal
from tests.torture.bench import Figures, Task
from tests.torture.books import problems
from tests.torture.client import Client, Journal
from tests.torture.databases import EMPTY, postgres_server
from tests.torture.service import PLENTY, person, service

PEOPLE, CLIENTS_EACH = 4, 2
LONGEST_LIFE_S = 0.5
BACK_WITHIN_S = 30.0
ENDLESS = 100_000


def run(task: Task) -> Figures:
    """So many crashes of one server; it has one database, and one store stays open through all of it."""
    with postgres_server(durable=True) as (url, made):
        server = Server(made)
        try:
            return asyncio.run(crashes(task, url.replace("/postgres?", f"/{EMPTY}?"), server))
        finally:
            server.stop()


async def crashes(task: Task, url: str, server: Server) -> Figures:
    """Load, crash, check; over and over."""
    from chatbill.adapters.persistence import open_store  # noqa: PLC0415

    store = open_store(url)
    await back(store)
    use_cases, journal, found, waits = service(store, welcome_credits=PLENTY), Journal(), [], []
    people = [await person(use_cases, f"person{number}") for number in range(PEOPLE)]
    journal.people = [(each.user_id, each.wallet_id) for each in people]
    for cycle in range(task.size):
        clients = [asyncio.create_task(each.run(ENDLESS)) for each in clients_of(use_cases, people, journal, cycle)]
        await asyncio.sleep(task.chance.uniform(0, LONGEST_LIFE_S))
        await asyncio.to_thread(server.crash_one if cycle % 2 else server.crash)
        waits.append(await back(store))
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
        await use_cases.chat.replies.drain(grace_s=5)
        use_cases = service(store)
        found += [f"cycle {cycle}: {problem}" for problem in await problems(store, journal)]
    await store.close()
    return Figures(
        attempts=len(journal.asked),
        successes=journal.answers,
        cycles=task.size,
        problems=found,
        notes=f"one store through all of it; it worked again after {max(waits):.1f} s at most",
    )


def clients_of(use_cases: Any, people: list[Principal], journal: Journal, cycle: int) -> list[Client]:
    """Two clients a person; they begin with what was not answered before."""
    return [
        Client(
            use_cases,
            each,
            journal.note,
            tag=f"{cycle}-{each.username}-{number}",
            again=journal.unanswered(each.user_id)[number::CLIENTS_EACH],
        )
        for each in people
        for number in range(CLIENTS_EACH)
    ]


class Server:
    """A server that is a child of this process, which alone can tell when it is really gone."""

    def __init__(self, made: Any) -> None:
        made.stop()
        sockets = Path(made.get_uri().partition("host=")[2])
        self._command = [str(made.bin_path / "postgres"), "-D", str(made.pgdata), "-h", "", "-k", str(sockets)]
        self._user = made.system_user
        self._log = (sockets / "killed.log").open("ab")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        """It refuses to start while any process of the old one still dies, so it is asked again."""
        for _ in range(100):
            process = subprocess.Popen(self._command, user=self._user, stdout=self._log, stderr=self._log, cwd="/")
            try:
                process.wait(0.3)
            except subprocess.TimeoutExpired:
                return process
        raise AssertionError("the server did not start again")

    def crash(self) -> None:
        """Every process of the server, without a warning; then it is started again."""
        for process in [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = self._start()

    def crash_one(self) -> None:
        """One process that serves a client; PostgreSQL then ends all others and recovers by itself."""
        children = psutil.Process(self._process.pid).children()
        serving = [each for each in children if "[local]" in " ".join(each.cmdline())]
        assert serving, "the store has no connection that could be lost"
        serving[0].kill()
        psutil.wait_procs(serving, timeout=10)

    def stop(self) -> None:
        """End it, and its log."""
        self._process.send_signal(signal.SIGINT)  # which waits for no client
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


async def back(store: Store) -> float:
    """Seconds until the store works again."""
    began = time.monotonic()
    while True:
        try:
            await store.write(lambda tx: None)
            await store.read(lambda snapshot: next(snapshot.audit.wallets(), None))
        except StoreUnavailable:
            assert time.monotonic() - began < BACK_WITHIN_S, "the store did not come back"
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began
