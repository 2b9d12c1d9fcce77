"""Races for one wallet, one key and one hold, run from several processes and threads at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter

from chatbill.application.chat.events import Completed
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.audit.rows import UnreadableRow
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.shared.errors import ChatbillError
from tests.kit.support import MINI
from tests.torture.bench import Figures, Task
from tests.torture.books import differences
from tests.torture.client import from_text, to_text
from tests.torture.databases import Database
from tests.torture.hold_race import settle_race
from tests.torture.service import person, service

PROCESSES, WORKERS = 4, 16
CREDITS, ATTEMPTS = 100, 1_000
ONE_KEY = 100
PER_KEY_ROUND = 50

Ends = Counter[str]


def run(task: Task) -> Figures:
    """One wallet, then keys, then holds; `size` holds, and a key for each fifty."""
    wallet = race(task, attempts=ATTEMPTS, keys=0)
    problems, notes = wallet.problems, [f"{ATTEMPTS} for {CREDITS} credits: {wallet.ends['completed']} replies"]
    expected = {"completed": CREDITS, "insufficient_credits": ATTEMPTS - CREDITS}
    if wallet.ends != expected:
        problems.append(f"{CREDITS} credits, {ATTEMPTS} attempts at 1 credit each: {dict(wallet.ends)}")
    rounds = max(1, task.size // PER_KEY_ROUND)
    keyed = race(task, attempts=ONE_KEY * rounds, keys=rounds)
    if keyed.charges != rounds:
        problems.append(f"{rounds} keys, {ONE_KEY} requests with each: {keyed.charges} charges")
    if set(keyed.ends) - {"completed", "request_in_progress"}:
        problems.append(f"requests with one key ended otherwise: {dict(keyed.ends)}")
    notes.append(f"{ONE_KEY} with one key, {rounds} times: {keyed.charges} charges")
    winners, trouble = asyncio.run(settle_race(task))
    notes.append(f"{task.size} holds, each with one winner: {dict(sorted(winners.items()))}")
    return Figures(
        attempts=ATTEMPTS + ONE_KEY * rounds + 3 * task.size,
        successes=wallet.ends["completed"] + keyed.charges + winners.total(),
        cycles=task.size,
        notes="; ".join(notes),
        problems=problems + keyed.problems + trouble,
    )


class Outcomes:
    """How the attempts ended, how many charges there are, and what is wrong with the books."""

    def __init__(self, ends: Ends, charges: int, problems: list[str]) -> None:
        self.ends, self.charges, self.problems = ends, charges, problems


def race(task: Task, *, attempts: int, keys: int) -> Outcomes:
    """So many attempts on one wallet by 64 workers, with so many keys between them (none: without)."""
    database = task.databases.fresh()
    store = database.open()

    async def prepare() -> str:
        return to_text([await person(service(store, welcome_credits=CREDITS), "alice")])

    alice = asyncio.run(prepare())
    if database.url is None:
        ends = asyncio.run(many(store, from_text(alice)[0], PROCESSES * WORKERS, attempts, keys))
    else:
        command = [sys.executable, "-m", "tests.torture.races", database.url, alice]
        sizes = [str(WORKERS), str(attempts // PROCESSES), str(keys)]
        running = [subprocess.Popen([*command, *sizes], stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        ends = Counter()
        for process in running:
            ends.update(json.loads(process.communicate(timeout=600)[0]))

    async def look() -> tuple[list[str], int]:
        found = await differences(store)
        charges = await store.read(lambda snapshot: sum(1 for each in snapshot.audit.entries() if _is_charge(each)))
        await store.close()
        return found, charges

    found, charges = asyncio.run(look())
    return Outcomes(ends, charges, found)


async def many(store: Store, alice: Principal, workers: int, attempts: int, keys: int) -> Ends:
    """Attempts by so many workers, the keys in turn, each key's requests at the same time."""
    use_cases, ends = service(store), Counter[str]()
    numbers = iter(range(attempts))
    per_key = attempts // keys if keys else 1

    async def worker() -> None:
        for number in numbers:
            key = f"key-{number // per_key}" if keys else None
            message = Message(model=MINI, text="one word", idempotency_key=key)
            try:
                end = await (await use_cases.chat.send_message(alice, message)).finished()
                ends["completed" if isinstance(end, Completed) else end.interaction.outcome] += 1
            except ChatbillError as error:
                ends[error.code] += 1

    await asyncio.gather(*(worker() for _ in range(workers)))
    return ends


async def main(url: str, alice: str, sizes: list[int]) -> None:
    """One process of several."""
    store = Database(url).open()
    ends = await many(store, from_text(alice)[0], *sizes)
    await store.close()
    print(json.dumps(ends))  # noqa: T201 - for the process that waits for it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]))


def _is_charge(entry: LedgerEntry | UnreadableRow) -> bool:
    return isinstance(entry, LedgerEntry) and entry.kind is EntryKind.CHARGE
