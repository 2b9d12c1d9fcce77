"""`kill -9` of a real `chatbill serve --mode api` under load, at random moments; the client journals every answer."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import httpx

from chatbill.domain.accounts.users import name_key
from tests.service.process import Service
from tests.torture.bench import Figures, Task
from tests.torture.books import problems
from tests.torture.client import PAY_EVERY, Journal
from tests.torture.databases import Database

PEOPLE, CLIENTS_EACH = 2, 4
LONGEST_LIFE_S = 0.6
FIRST_ANSWER_WITHIN = 500
"""Hundredths of a second."""
DIE_EARLY = 0.2
"""How many are killed without a look whether they have answered anything."""
UP_WITHIN_S = 3.0
PASSWORD = "correct horse battery"
OPEN = {
    "CHATBILL_MESSAGES_PER_MINUTE": "0",
    "CHATBILL_REGISTRATIONS_PER_HOUR": "0",
    "CHATBILL_REGISTRATIONS_IN_ALL_PER_HOUR": "0",
    "CHATBILL_TOP_UPS_PER_HOUR": "0",
    "CHATBILL_WELCOME_CREDITS": "1000000",
    "CHATBILL_LOG_LEVEL": "warning",
}


def run(task: Task) -> Figures:
    """So many lives of one service on one database."""
    database = task.databases.fresh()
    service = Service(task.folder, environment=OPEN | {"CHATBILL_DATABASE_URL": database.address})
    journal, found, starts = Journal(), [], []
    tokens: dict[str, str] = {}
    for cycle in range(task.size):
        began = time.monotonic()
        service.start()
        starts.append(time.monotonic() - began)
        if not tokens:
            tokens = asyncio.run(populate(service, database, journal))
        asyncio.run(life(service, tokens, journal, cycle, task.chance))
        found += [f"cycle {cycle}: {problem}" for problem in asyncio.run(check(database, journal))]
    verdict = service.verify()
    median = sorted(starts)[len(starts) // 2]
    return Figures(
        attempts=len(journal.asked),
        successes=journal.answers,
        cycles=task.size,
        problems=found,
        notes=f"up after {median:.1f} s (median), {max(starts):.1f} s (longest), wanted: {UP_WITHIN_S:g} s; "
        f"`chatbill ledger verify` exits 0 over {verdict['charges']} charges",
    )


async def populate(service: Service, database: Database, journal: Journal) -> dict[str, str]:
    """An access token for each person. The tokens outlive the service, as its key does."""
    tokens = {f"person{number}": await service.person(f"person{number}") for number in range(PEOPLE)}
    store = database.open()
    for name in tokens:
        user = await store.read(lambda snapshot, name=name: snapshot.users.by_login(name_key(name)))  # type: ignore[misc]
        assert user
        journal.people.append((user.id, user.wallet_id))
    await store.close()
    return dict(zip([user_id for user_id, _ in journal.people], tokens.values(), strict=True))


async def life(service: Service, tokens: dict[str, str], journal: Journal, cycle: int, chance: random.Random) -> None:
    """Load, and the end of it at a random moment."""
    async with asyncio.TaskGroup() as group:
        clients = []
        for user_id, token in tokens.items():
            again = journal.unanswered(user_id)
            for number in range(CLIENTS_EACH):
                names = again[number::CLIENTS_EACH]
                clients.append(group.create_task(load(service, token, user_id, journal, f"{cycle}-{number}", names)))
        answers, early = journal.answers, chance.random() < DIE_EARLY
        for _ in range(0 if early else FIRST_ANSWER_WITHIN):
            if journal.answers > answers:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE_S))
        await asyncio.to_thread(service.kill)


async def load(service: Service, token: str, user_id: str, journal: Journal, tag: str, again: list[str]) -> None:
    """Ask and pay until the service is gone."""
    async with service.client(token) as client:
        number = 0
        while True:
            kind = "pay" if number % PAY_EVERY == PAY_EVERY - 1 else "ask"
            name = again.pop() if again else f"{kind}-{user_id[-6:]}-{tag}-{number}"
            number += 1
            journal.note({"asked": name, "by": user_id})
            try:
                answer = await request(client, name)
            except httpx.TransportError:
                return
            if answer.status_code < httpx.codes.BAD_REQUEST:
                take_down(journal, name, answer.json())


async def request(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """One request, with its name as its key."""
    headers = {"Idempotency-Key": name}
    if name.startswith("pay-"):
        return await client.post("/billing/add", json={"amount": 3}, headers=headers)
    return await client.post("/chat/message", json={"model": "demo-mini", "message": name}, headers=headers)


def take_down(journal: Journal, name: str, answer: dict[str, Any]) -> None:
    """What the answer promises."""
    if name.startswith("pay-") and answer["status"] == "confirmed":
        journal.note({"paid": name, "id": answer["payment_id"], "credits": answer["credits_added"]})
    elif answer.get("outcome") == "completed":
        told = {"id": answer["id"], "reply": answer["reply"], "charged": answer["credits_charged"]}
        journal.note({"told": name, **told})


async def check(database: Database, journal: Journal) -> list[str]:
    """Open what is left and check every promise; the sweep, and verify after it."""
    store = database.open()
    try:
        return await problems(store, journal)
    finally:
        await store.close()
