"""Several processes on one database: a repeated request has one effect, wherever it arrives."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.ledger import EntryKind
from tests.adapters.persistence.repeaters import ask_and_pay
from tests.kit.postgres import shared
from tests.kit.rows import NOON, PURSE, add_person
from tests.kit.stores import fresh_database

ROOT = Path(__file__).parents[3]

DATABASES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: sqlite_url(fresh_database(folder)),
    "postgres": lambda _folder: shared().fresh(),
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which Alice has 100 credits."""
    made = DATABASES[request.param](tmp_path)

    async def register() -> None:
        store = open_store(made)
        await store.write(add_person)
        await store.close()

    asyncio.run(register())
    return made


def kinds(snapshot: Snapshot) -> list[EntryKind]:
    return [entry.kind for entry in snapshot.ledger.of_wallet(PURSE, limit=1_000)]


async def one_effect(store: Store, answers: list[str]) -> None:
    """Asserts one reply and one payment in all answers, and a ledger that verifies."""
    asked = {answer for answer in answers if answer.startswith("asked")} - {"asked: in progress"}
    paid = {answer for answer in answers if answer.startswith("paid")}
    assert (len(asked), len(paid)) == (1, 1)
    assert sorted(await store.read(kinds)) == [EntryKind.CHARGE, EntryKind.GRANT, EntryKind.TOP_UP]
    wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    assert wallet is not None
    assert (wallet.posted, wallet.held) == (109, 0)
    found: list[Difference] = []
    verdict = await VerifyLedger(store=store, clock=lambda: NOON, sweep_allowance_s=0)(found.append)
    assert (verdict.agrees, found) == (True, [])


async def test_a_hundred_requests_with_one_key_at_two_stores_have_one_effect(url: str) -> None:
    stores = [open_store(url) for _ in range(2)]
    answers = await asyncio.gather(*(ask_and_pay(store, "once", 50) for store in stores))
    assert len(answers[0] + answers[1]) == 200
    await one_effect(stores[0], answers[0] + answers[1])
    await asyncio.gather(*(store.close() for store in stores))


@pytest.mark.slow
def test_a_hundred_requests_with_one_key_at_two_processes_have_one_effect(url: str) -> None:
    command = [sys.executable, "-m", "tests.adapters.persistence.repeaters", url, "once", "50"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    answers = "".join(process.communicate(timeout=60)[0] for process in processes).splitlines()
    assert [process.returncode for process in processes] == [0, 0]
    assert len(answers) == 200

    async def look() -> None:
        store = open_store(url)
        await one_effect(store, answers)
        await store.close()

    asyncio.run(look())
