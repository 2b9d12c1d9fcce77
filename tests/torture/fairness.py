"""One person floods a model that writes one reply at a time; another sends one message after the other, until a kill.

`kill -9` ends each round in the middle of the flood. The holds that it leaves are released in their time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median

import httpx

from tests.kit.waiting import eventually
from tests.service.process import Service
from tests.torture.bench import Figures, Task

FLOOD = 150
"""Requests of the first person that are open all the time; a refused one is sent again after its `Retry-After`."""
MESSAGES = 10
"""Messages of the second person in one round."""
MOST_REPLIES_BEFORE = 2
REPLY = {"model": "demo-mini", "message": "[[tokens:10]] [[pause:0.02]]"}
TIMEOUT_S = 20
SETTLED_WITHIN_S = TIMEOUT_S + 15
OPEN = {
    "CHATBILL_BATCH_SIZE": "1",
    "CHATBILL_GENERATION_TIMEOUT_S": str(TIMEOUT_S),
    "CHATBILL_HOLD_GRACE_S": "0",
    "CHATBILL_SWEEP_INTERVAL_S": "1",
    "CHATBILL_MESSAGES_PER_MINUTE": "0",
    "CHATBILL_WELCOME_CREDITS": "1000000",
    "CHATBILL_LOG_LEVEL": "warning",
}


@dataclass
class Seen:
    """What the people saw. Times in seconds."""

    answers: Counter[int] = field(default_factory=Counter)
    alone_s: list[float] = field(default_factory=list)
    accepted_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    replies_before: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(task: Task) -> Figures:
    """So many rounds of a flood on one service, each with a kill."""
    database = task.databases.fresh()
    service = Service(task.folder, environment=OPEN | {"CHATBILL_DATABASE_URL": database.address})
    seen, tokens = Seen(), list[str]()
    for number in range(task.size):
        service.start()
        if not tokens:
            tokens = [asyncio.run(service.person(name)) for name in ("alice", "bob")]
        asyncio.run(flooded(service, tokens, seen))
        service.start()
        asyncio.run(no_hold_remains(service, tokens, seen, number))
        service.stop()
    verdict = service.verify()
    return Figures(
        attempts=sum(seen.answers.values()) + len(seen.first_token_s),
        successes=seen.answers[200] + len(seen.first_token_s),
        cycles=task.size,
        problems=seen.problems,
        notes=f"`chatbill ledger verify` exits 0 over {verdict['charges']} charges",
        lines=table(seen),
    )


def table(seen: Seen) -> list[str]:
    """The figures in words."""
    return [
        "what | figure",
        f"one reply, alone | {min(seen.alone_s):.2f} s",
        f"second person, accepted after, median | {median(seen.accepted_s):.2f} s",
        f"second person, first token after, median | {median(seen.first_token_s):.2f} s",
        f"second person, first token after, longest | {max(seen.first_token_s):.2f} s",
        f"replies of the first person in between, most | {max(seen.replies_before)} (promised: {MOST_REPLIES_BEFORE})",
        f"requests of the first person, answered | {seen.answers[200]}",
        f"requests of the first person, refused with 429 | {seen.answers[429]}",
    ]


async def flooded(service: Service, tokens: list[str], seen: Seen) -> None:
    """The second person sends messages while the first one floods, until the service is killed."""
    async with service.client(tokens[0]) as alice, service.client(tokens[1]) as bob:
        began = time.monotonic()
        (await bob.post("/chat/message", json=REPLY)).raise_for_status()
        seen.alone_s.append(time.monotonic() - began)
        before = seen.answers.copy()
        async with flood(alice, seen):
            await eventually(lambda: (seen.answers - before)[429] > FLOOD, within_s=60)
            for _ in range(MESSAGES):
                await ask(bob, seen)
            await asyncio.to_thread(service.kill)
        if others := set(seen.answers) - {200, 429}:
            seen.problems.append(f"the first person was answered with {others}")


@asynccontextmanager
async def flood(alice: httpx.AsyncClient, seen: Seen) -> AsyncIterator[None]:
    """Keep so many requests open within the block, which ends with a kill."""

    async def again_and_again() -> None:
        while True:
            answer = await alice.post("/chat/message", json=REPLY)
            seen.answers[answer.status_code] += 1
            if answer.status_code != httpx.codes.OK:
                await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))

    async def until_the_kill() -> None:
        with suppress(httpx.HTTPError):
            await again_and_again()

    tasks = [asyncio.create_task(until_the_kill()) for _ in range(FLOOD)]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        for each in tasks:
            with suppress(asyncio.CancelledError):
                await each


async def ask(bob: httpx.AsyncClient, seen: Seen) -> None:
    """Send one message, and count the replies of the first person between its acceptance and its first token."""
    began, before = time.monotonic(), None
    async with bob.stream("POST", "/chat/message", json=REPLY, headers={"Accept": "text/event-stream"}) as answer:
        if answer.status_code != httpx.codes.OK:
            seen.problems.append(f"the second person was answered with {answer.status_code}")
            return
        async for line in answer.aiter_lines():
            if line == "event: accepted":
                before = seen.answers[200]
                seen.accepted_s.append(time.monotonic() - began)
            elif line == "event: delta" and before is not None:
                seen.first_token_s.append(time.monotonic() - began)
                seen.replies_before.append(seen.answers[200] - before)
                before = None
    if seen.replies_before[-1] > MOST_REPLIES_BEFORE:
        seen.problems.append(f"{seen.replies_before[-1]} replies of the first person came before the second one's")


async def no_hold_remains(service: Service, tokens: list[str], seen: Seen, number: int) -> None:
    """Wait until both people can spend all that they own."""
    for token in tokens:
        async with service.client(token) as client:
            last = ""

            async def is_settled(client: httpx.AsyncClient = client) -> bool:
                nonlocal last
                answer = await client.get("/billing/balance")
                last = f"{answer.status_code} {answer.text}"
                return answer.is_success and answer.json()["held"] == 0

            try:
                await eventually(is_settled, within_s=SETTLED_WITHIN_S, every_s=0.2)
            except TimeoutError:
                seen.problems.append(f"round {number}: a hold is left {SETTLED_WITHIN_S} s after the kill: {last}")
