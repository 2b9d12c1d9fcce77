"""One hold, three ends: captured, released and swept at the same moment, and one of the three wins."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from chatbill.application.chat.messages import Message
from chatbill.application.chat.settlement import Ending, PendingInteraction, settle
from chatbill.application.ports.store import Store
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import GenerationFailed
from chatbill.domain.shared.ids import EntryId
from tests.kit.rows import add_running, interaction
from tests.kit.support import MINI
from tests.torture.bench import Task
from tests.torture.books import differences
from tests.torture.service import NEW_ID, person, service, tomorrow

HEAD_STARTS_S = (0, 0, 0.002, 0.004)
Ends = Counter[str]


async def settle_race(task: Task) -> tuple[Ends, list[str]]:
    """Each hold is captured, released and swept at the same moment, by three threads with a store each."""
    database = task.databases.fresh()
    shared = database.open()
    alice = await person(service(shared, welcome_credits=10 * task.size), "alice")
    conversation = (
        await (await service(shared).chat.send_message(alice, Message(model=MINI, text="hi"))).finished()
    ).interaction
    stores = [shared if database.url is None else database.open() for _ in range(3)]
    start, done = threading.Barrier(3), threading.Barrier(3)
    chances = [random.Random(task.chance.random()) for _ in range(3)]
    current: list[PendingInteraction] = []
    told: list[list[str]] = [[], [], []]

    async def next_hold(number: int) -> None:
        terms: dict[str, Any] = {
            "user_id": alice.user_id, "wallet_id": alice.wallet_id,
            "conversation_id": conversation.conversation_id, "price": conversation.price, "held": 1,
        }  # fmt: skip
        name = f"race-{number}"
        hold = await shared.write(lambda tx: add_running(tx, name, **terms))
        current[:] = [PendingInteraction(interaction(name, **terms), hold)]

    endings = (
        Ending(outcome=Outcome.COMPLETED, reply="done", usage=Usage(prompt_tokens=1, completion_tokens=1)),
        Ending(outcome=Outcome.FAILED, error=GenerationFailed()),
    )

    async def contestant(number: int) -> None:
        sweep = service(stores[number], clock=tomorrow).maintenance.expire_holds
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


async def end_it(store: Store, work: PendingInteraction, ending: Ending) -> str:
    """Settle, and how it stands then."""
    entry_id = EntryId(NEW_ID())
    return (await settle(store, work, ending, at=tomorrow(), entry_id=entry_id)).outcome.value


async def outcome(store: Store, work: PendingInteraction) -> str:
    """How it stands."""
    found = await store.read(lambda snapshot: snapshot.interactions.get(work.interaction.id))
    return found.outcome.value if found else "lost"
