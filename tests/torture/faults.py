"""A fault at every call of a store by every use case that writes, and a lost answer after every commit.

After each: nothing of the failed transaction is kept, the books agree, and doing it again has one effect in all.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.audit.rows import Settlement
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import ChatbillError
from tests.kit.engines import ControlledEngine
from tests.kit.rows import job
from tests.kit.support import CATALOGUE, MINI, PASSWORD
from tests.torture.bench import Figures, Task
from tests.torture.books import differences, sweep
from tests.torture.databases import Database, Databases
from tests.torture.fault_cases import CASES, Case, Scene
from tests.torture.fault_store import FaultyStore
from tests.torture.service import person, service

RETRIES = 5
REPEATED = "request_interrupted"
"""What the key of a reply gives that could not be kept."""


@dataclass
class Seen:
    """What came of the faults."""

    faults: int = 0
    lost_answers: int = 0
    problems: list[str] = field(default_factory=list)


def run(task: Task) -> Figures:
    """Every case, as often as asked."""
    seen = Seen()
    for _ in range(task.size):
        for name in CASES:
            asyncio.run(tried(name, task.databases, seen))
    return Figures(
        attempts=seen.faults + seen.lost_answers,
        successes=seen.faults + seen.lost_answers - len(seen.problems),
        cycles=len(CASES),
        problems=seen.problems,
        notes=f"{seen.faults} faults in {len(CASES)} use cases; {seen.lost_answers} answers lost after COMMIT",
    )


async def tried(name: str, databases: Databases, seen: Seen) -> None:
    """One use case: first without a fault, then with one at each place, for a moment and for good."""
    case = CASES[name]
    database = databases.fresh()
    calls, commits, expected = await measured(case, database)
    databases.done(database)
    places: list[dict[str, Any]] = [
        {"call": call, "lasting": lasting} for call in range(1, calls + 1) for lasting in (False, True)
    ]
    places += [{"commit": commit, "lasting": lasting} for commit in range(1, commits + 1) for lasting in (False, True)]
    for place in places:
        seen.faults += "call" in place
        seen.lost_answers += "commit" in place
        database = databases.fresh()
        problems = await faulted(case, database, place, expected)
        databases.done(database)
        seen.problems += [f"{name}, fault at {place}: {problem}" for problem in problems]


async def scene_in(store: Store) -> Scene:
    """Alice, who has paid for a reply and waits for another one; an administrator."""
    use_cases = service(store, welcome_credits=20)
    alice, admin = await person(use_cases, "alice"), await person(use_cases, "root", UserRole.ADMIN)
    charged = await (await use_cases.chat.send_message(alice, Message(model=MINI, text="one two"))).finished()
    waiting = service(store, engine=ControlledEngine(CATALOGUE))
    running = await waiting.chat.send_message(alice, Message(model=MINI, text="never ends"))
    assert isinstance(running, Reply)
    signed_in = await use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    code = await use_cases.administration.create_code(admin, NewCode(credits=5))
    link = await use_cases.administration.make_password_link(admin, alice.user_id, AdminAction(reason="A test"))
    await store.write(lambda tx: tx.jobs.add(job(kind="forget_sessions")))
    return Scene(alice, admin, signed_in, charged.interaction, running, code, link)


async def measured(case: Case, database: Database) -> tuple[int, int, Counter[str]]:
    """How many calls and commits it takes, and the money that is there afterwards."""
    store = database.open_small()
    scene = await scene_in(store)
    counting = FaultyStore(store, database)
    await case.act(service(counting, clock=case.clock), scene)
    await sweep(store)
    expected = await store.read(money)
    await finish(scene, store)
    return counting.calls, counting.commits, expected


async def faulted(case: Case, database: Database, place: dict[str, Any], expected: Counter[str]) -> list[str]:
    """One fault, and everything that must hold after it."""
    store = database.open_small()
    scene = await scene_in(store)
    faulty = FaultyStore(store, database, **place)
    use_cases = service(faulty, clock=case.clock)
    told = await outcome(case, use_cases, scene)
    problems = [*faulty.half_done]
    if not faulty.failed:
        problems.append("the fault never came")
    faulty.heal()
    await sweep(store)
    problems += await differences(store)
    if told != "done":
        told = await outcome(case, use_cases, scene)
    await sweep(store)
    problems += await differences(store)
    found = await store.read(money)
    if found != expected and not (told == REPEATED and found == unpaid(expected)):
        problems.append(f"{told}, and then {dict(found)}; once without a fault gives {dict(expected)}")
    if told not in {"done", REPEATED, *case.ends}:
        problems.append(f"the retry ended in {told}")
    await finish(scene, store)
    return problems


async def outcome(case: Case, use_cases: Any, scene: Scene) -> str:
    """How it ended, in a word."""
    try:
        result = await case.act(use_cases, scene)
    except StoreUnavailable:
        return "unavailable"
    except ChatbillError as error:
        return error.code
    return str(getattr(result, "code", "done"))


def money(snapshot: Snapshot) -> Counter[str]:
    """Everything that is credits, counted: wallets, entries by kind and amount, holds and requests by their end."""
    books = snapshot.audit
    found: Counter[str] = Counter()
    for wallet in books.wallets():
        assert isinstance(wallet, Wallet)
        found[f"wallet with {wallet.posted}, {wallet.held} held"] += 1
    for entry in books.entries():
        assert isinstance(entry, LedgerEntry)
        found[f"{entry.kind} {entry.signed_amount}"] += 1
    for each in books.settlements():
        assert isinstance(each, Settlement)
        found[f"hold {each.state} for {each.captured}, {each.refunded} refunded, {each.outcome}"] += 1
    return found


def unpaid(expected: Counter[str]) -> Counter[str]:
    """The same where the reply could not be kept: interrupted, and paid for by nobody."""
    found = Counter(expected)
    found["charge -1"] -= 1
    found["hold captured for 1, 0 refunded, completed"] -= 1
    found["hold released for 0, 0 refunded, interrupted"] += 1
    [purse] = [words for words in found if words.startswith("wallet with") and not words.startswith("wallet with 20")]
    found[purse] -= 1
    balance = int(purse.split()[2].rstrip(","))
    found[f"wallet with {balance + 1}, 0 held"] += 1
    return +found


async def finish(scene: Scene, store: Store) -> None:
    """Leave nothing behind."""
    await scene.running.abandon()
    await store.close()
