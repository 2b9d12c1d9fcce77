"""The bank test in Jepsen's manner: credits move between wallets from many threads and processes; the total never does.

A transfer takes from one wallet and gives to another in one transaction, by hand, so the house stands between the
two and nets to zero. Whoever reads meanwhile must see the same total every time, and books that agree.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from functools import partial

from chatbill.application.audit.auditing import audit_store
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.audit.proof import Tally
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import EntryId, UserId, WalletId
from tests.torture.bench import Figures, Task
from tests.torture.books import differences
from tests.torture.databases import Database
from tests.torture.service import NEW_ID, tomorrow

THREADS = 16
PROCESSES = 4
WALLETS = [WalletId(f"wallet-{number}") for number in range(8)]
EACH = 100
TOTAL = EACH * len(WALLETS)
AUDIT_EVERY = 10
CARELESS = 0.005
TELLER = UserId("teller")
WELCOME = Cause(description=Description.of("welcome_credits"))
CAUSE = Cause(description=Description.of("by_hand", reason="Transfer"), author=TELLER)


@dataclass
class Count:
    """What one process has seen. `trouble` is how often the store was not available, so that the end is unknown."""

    transfers: int = 0
    refused: int = 0
    trouble: int = 0
    reads: int = 0
    audits: int = 0
    wrong: list[str] = field(default_factory=list)


def run(task: Task) -> Figures:
    """Move credits for `size` seconds, then count once more."""
    database = task.databases.fresh()
    store = database.open()
    asyncio.run(store.write(found))
    alone = database.url is None
    counts = [work(store, task.size, task.chance.random())] if alone else in_processes(database, task)
    problems = [wrong for count in counts for wrong in count.wrong]
    problems += asyncio.run(at_the_end(store, counts))
    return Figures(
        attempts=sum(count.transfers + count.refused + count.trouble for count in counts),
        successes=sum(count.transfers for count in counts),
        problems=problems,
        notes=f"{len(counts)} processes of {THREADS} threads; {sum(count.reads for count in counts)} totals read, "
        f"{sum(count.audits for count in counts)} of them audited, {sum(len(count.wrong) for count in counts)} wrong; "
        f"{sum(count.refused for count in counts)} refused, {sum(count.trouble for count in counts)} unavailable",
    )


def found(tx: Transaction) -> None:
    """Wallets with credits."""
    for wallet_id in WALLETS:
        owner = Owner(USER, TELLER) if wallet_id == WALLETS[0] else Owner("branch", wallet_id)
        wallet = Wallet(id=wallet_id, owner=owner)
        tx.wallets.add(wallet)
        if wallet_id == WALLETS[0]:
            tx.users.add(teller())
        keep_posting(tx, wallet.grant(EACH, entry_id=EntryId(NEW_ID()), at=tomorrow(), cause=WELCOME))


def teller() -> User:
    """Who moves credits by hand."""
    return User(
        id=TELLER,
        username="teller",
        email="teller@example.org",
        password_hash="none",
        role=UserRole.ADMIN,
        wallet_id=WALLETS[0],
        created_at=tomorrow(),
    )


def transfer(tx: Transaction, *, giver: WalletId, taker: WalletId, amount: int, careless: bool) -> None:
    """Credits from one to the other; a careless program locks in any order, and runs into deadlocks."""
    sides = [(giver, -amount), (taker, amount)]
    for wallet_id, signed in sides if careless else sorted(sides):
        wallet = tx.wallets.lock(wallet_id)
        keep_posting(tx, wallet.adjust(signed, max_debt=0, entry_id=EntryId(NEW_ID()), at=tomorrow(), cause=CAUSE))


def total(snapshot: Snapshot) -> int:
    """Everybody's credits."""
    return sum(wallet.posted for wallet in snapshot.audit.wallets() if isinstance(wallet, Wallet))


def audited(snapshot: Snapshot) -> list[str]:
    """What the audit finds in the midst of it."""
    found_ = audit_store(snapshot.audit, now=tomorrow(), tally=Tally())
    return [f"{each.rule}: {each.subject} {each.detail}" for each in found_]


def work(store: Store, seconds: float, seed: float) -> Count:
    """Threads that transfer and one that reads, each with an event loop of its own, on one store."""
    count, lock, until = Count(), threading.Lock(), time.monotonic() + seconds
    tasks = [partial(move, store, until, random.Random(f"{seed} {number}")) for number in range(THREADS)]

    def in_a_thread(act: partial[object]) -> None:
        mine = Count()
        try:
            asyncio.run(act(mine))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, it has no place here
            mine.wrong.append(f"{type(error).__name__}: {error}")
        with lock:
            for name, value in asdict(mine).items():
                setattr(count, name, getattr(count, name) + value)

    threads = [threading.Thread(target=in_a_thread, args=(act,)) for act in (*tasks, partial(watch, store, until))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count


async def move(store: Store, until: float, chance: random.Random, count: Count) -> None:
    """Transfer until the time is over."""
    while time.monotonic() < until:
        giver, taker = chance.sample(WALLETS, 2)
        try:
            amount, careless = chance.randint(1, 20), chance.random() < CARELESS
            await store.write(partial(transfer, giver=giver, taker=taker, amount=amount, careless=careless))
            count.transfers += 1
        except InvalidRequest:
            count.refused += 1
        except StoreUnavailable:
            count.trouble += 1


async def watch(store: Store, until: float, count: Count) -> None:
    """Read totals until the time is over; now and then audit what is there."""
    while time.monotonic() < until:
        try:
            seen = await store.read(total)
            if count.reads % AUDIT_EVERY == 0:
                count.wrong += await store.read(audited)
                count.audits += 1
        except StoreUnavailable:
            continue
        count.reads += 1
        if seen != TOTAL:
            count.wrong.append(f"somebody read a total of {seen}, not {TOTAL}")
        await asyncio.sleep(0.01)


def in_processes(database: Database, task: Task) -> list[Count]:
    """The same in several processes at once."""
    command = [sys.executable, "-m", "tests.torture.bank", database.address, str(task.size)]
    running = [
        subprocess.Popen([*command, str(task.chance.random())], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    outputs = [process.communicate(timeout=task.size * 2 + 120)[0] for process in running]
    return [Count(**json.loads(output)) for output in outputs]


async def at_the_end(store: Store, counts: list[Count]) -> list[str]:
    """The total, the audit, and that what was answered is there: each transfer is two entries."""
    problems = await differences(store)
    if (seen := await store.read(total)) != TOTAL:
        problems.append(f"in the end the total is {seen}, not {TOTAL}")
    entries = await store.read(lambda snapshot: sum(1 for _ in snapshot.audit.entries()))
    await store.close()
    kept = (entries - len(WALLETS)) // 2
    answered, unknown = sum(count.transfers for count in counts), sum(count.trouble for count in counts)
    if not answered <= kept <= answered + unknown:
        problems.append(f"{answered} transfers were answered, {unknown} have an unknown end, {kept} were kept")
    return problems


if __name__ == "__main__":
    shared = Database(sys.argv[1]).open()
    seen_here = work(shared, float(sys.argv[2]), float(sys.argv[3]))
    asyncio.run(shared.close())
    print(json.dumps(asdict(seen_here)))  # noqa: T201 - for the process that waits for it
