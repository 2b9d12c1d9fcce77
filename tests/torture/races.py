"""Races for one wallet, one key and one hold, run from several processes and threads at once."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

from chatbill.application.events import Completed
from chatbill.application.messages import Message
from chatbill.application.ports.repositories import HeldWork
from chatbill.application.ports.store import Store
from chatbill.application.principal import Principal
from chatbill.application.settlement import Ending, settle
from chatbill.domain.chat import Outcome
from chatbill.domain.credits import Usage
from chatbill.domain.errors import ChatbillError, GenerationFailed
from chatbill.domain.ids import EntryId, InteractionId
from tests.contract.stores import add_running
from tests.support import MINI
from tests.torture.bench import Figures, Task
from tests.torture.books import differences
from tests.torture.client import from_text, to_text
from tests.torture.databases import Database
from tests.torture.service import NEW_ID, person, service, tomorrow

PROCESSES, WORKERS = 4, 16
CREDITS, ATTEMPTS = 100, 1_000
ONE_KEY = 100
PER_KEY_ROUND = 50
HEAD_STARTS_S = (0, 0, 0.002, 0.004)

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
        charges = await store.read(lambda snapshot: sum(each.charges for each in snapshot.books.settlements()))
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
                end = await (await use_cases.send_message(alice, message)).finished()
                ends["completed" if isinstance(end, Completed) else end.interaction.outcome] += 1
            except ChatbillError as error:
                ends[error.code] += 1

    await asyncio.gather(*(worker() for _ in range(workers)))
    return ends


async def settle_race(task: Task) -> tuple[Ends, list[str]]:
    """Each hold is captured, released and swept at the same moment, by three threads with a store each."""
    database = task.databases.fresh()
    shared = database.open()
    alice = await person(service(shared, welcome_credits=10 * task.size), "alice")
    conversation = (
        await (await service(shared).send_message(alice, Message(model=MINI, text="hi"))).finished()
    ).interaction
    stores = [shared if database.url is None else database.open() for _ in range(3)]
    start, done = threading.Barrier(3), threading.Barrier(3)
    chances = [random.Random(task.chance.random()) for _ in range(3)]
    current: list[HeldWork] = []
    told: list[list[str]] = [[], [], []]

    async def next_hold(number: int) -> None:
        running = f"race-{number}"
        await shared.write(
            lambda tx: add_running(
                tx, running, user_id=alice.user_id, wallet_id=alice.wallet_id,
                conversation_id=conversation.conversation_id, price=conversation.price, held=1,
            )
        )  # fmt: skip
        current[:] = [HeldWork(InteractionId(running), alice.wallet_id)]

    endings = (
        Ending(outcome=Outcome.COMPLETED, reply="done", usage=Usage(prompt_tokens=1, completion_tokens=1)),
        Ending(outcome=Outcome.FAILED, error=GenerationFailed()),
    )

    async def contestant(number: int) -> None:
        sweep = service(stores[number], clock=tomorrow).expire_holds
        for round_ in range(task.size):
            if number == 0:
                await next_hold(round_)
            start.wait(60)
            # The sweep looks before it writes, so without a head start now and then it would never win.
            await asyncio.sleep(chances[number].choice(HEAD_STARTS_S))
            if number < len(endings):
                told[number].append(await end_it(stores[number], current[0], endings[number]))
            else:
                await sweep()
                told[number].append(await outcome(stores[number], current[0]))
            done.wait(60)

    await asyncio.gather(*(asyncio.to_thread(in_a_loop(contestant), number) for number in range(3)))
    problems = [
        f"race {number} ended in {set(ends)}"
        for number, ends in enumerate(zip(*told, strict=True))
        if len(set(ends)) > 1
    ]
    problems += await differences(shared)
    for store in {id(store): store for store in (shared, *stores)}.values():
        await store.close()
    return Counter(told[0]), problems


def in_a_loop(act: Callable[[int], object]) -> Callable[[int], None]:
    """For a thread that has no event loop."""
    return lambda number: asyncio.run(act(number))  # type: ignore[arg-type]


async def end_it(store: Store, work: HeldWork, ending: Ending) -> str:
    """Settle, and how it stands then."""
    entry_id = EntryId(NEW_ID())
    return (await store.write(lambda tx: settle(tx, work, ending, at=tomorrow(), entry_id=entry_id))).outcome.value


async def outcome(store: Store, work: HeldWork) -> str:
    """How it stands."""
    interaction = await store.read(lambda snapshot: snapshot.interactions.get(work.interaction_id))
    return interaction.outcome.value if interaction else "lost"


async def main(url: str, alice: str, sizes: list[int]) -> None:
    """One process of several."""
    store = Database(url).open()
    ends = await many(store, from_text(alice)[0], *sizes)
    await store.close()
    print(json.dumps(ends))  # noqa: T201 - for the process that waits for it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]))
