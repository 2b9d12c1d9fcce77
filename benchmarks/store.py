"""How fast is a whole charge on SQLite? `python benchmarks/store.py [SECONDS_A_ROUND]`.

A charge is what a message costs the store: accept (hold, record) and settle (capture, ledger entry, reply), two durable
transactions. Beside it, in the same minute and on the same disk: plain one-row durable commits by the driver alone,
which is the fastest a durable charge could be. Rounds take turns, and the ratio is taken within each round.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from chatbill.adapters.persistence import SqliteStore, schema, sqlite_url
from chatbill.adapters.persistence.place import Place
from chatbill.adapters.persistence.sqlite_driver import connect_to_write, load_driver, sqlite_database
from chatbill.adapters.system import Uuid7Ids
from chatbill.application.acceptance import accept
from chatbill.application.ports.repositories import HeldWork
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.application.settlement import Ending, settle
from chatbill.domain.audit import Difference, Tally, audit
from chatbill.domain.chat import Conversation, Interaction, Outcome
from chatbill.domain.credits import Price, Usage
from chatbill.domain.ids import ConversationId, EntryId, HoldId, InteractionId, ModelId, UserId, WalletId
from chatbill.domain.ledger import Cause
from chatbill.domain.users import User, UserRole
from chatbill.domain.wallets import Wallet

ROUNDS = 8
CALLERS = (1, 64)
PROMPT = "What is the capital of France? Answer in one sentence."
ENDING = Ending(
    outcome=Outcome.COMPLETED,
    reply="The capital of France is Paris.",
    usage=Usage(prompt_tokens=12, completion_tokens=7),
)
new_id = Uuid7Ids()


class Caller:
    """Somebody with a wallet and a conversation of their own."""

    def __init__(self, store: SqliteStore, number: int) -> None:
        self._store = store
        self._user = UserId(f"user-{number}")
        self._wallet = WalletId(new_id())
        self._talk = ConversationId(new_id())

    async def sign_up(self) -> None:
        """Take credits that outlast the benchmark."""
        now = datetime.now(UTC)
        wallet = Wallet(id=self._wallet)
        name = self._user
        user = User(
            id=name,
            username=name,
            email=f"{name}@example.org",
            password_hash=PROMPT,
            role=UserRole.USER,
            wallet_id=wallet.id,
            created_at=now,
        )
        entry = wallet.grant(10**9, entry_id=EntryId(new_id()), at=now, cause=Cause(description="Welcome credits"))

        def work(tx: Transaction) -> None:
            tx.wallets.add(wallet)
            tx.users.add(user)
            tx.ledger.append(entry)
            tx.conversations.add(
                Conversation(id=self._talk, user_id=user.id, title="Talk", created_at=now, updated_at=now)
            )

        await self._store.write(work)

    async def charge(self) -> None:
        """One message, without the model."""
        now = datetime.now(UTC)
        interaction = Interaction(
            id=InteractionId(new_id()),
            conversation_id=self._talk,
            user_id=self._user,
            wallet_id=self._wallet,
            hold_id=HoldId(new_id()),
            model=ModelId("demo-mini"),
            price=Price(per_reply=1),
            held=1,
            prompt=PROMPT,
            created_at=now,
        )
        work = await self._store.write(
            lambda tx: accept(
                tx,
                interaction,
                expires_at=now + timedelta(seconds=60),
                key=None,
                fingerprint="",
                new_conversation=False,
            )
        )
        assert isinstance(work, HeldWork)
        settled = await settle(self._store, work, ENDING, at=datetime.now(UTC), entry_id=EntryId(new_id()))
        assert settled.credits_charged == 1


async def charges_per_second(callers: list[Caller], seconds: float) -> float:
    until, done = time.perf_counter() + seconds, 0

    async def keep_charging(caller: Caller) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await caller.charge()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*map(keep_charging, callers))
    return done / (time.perf_counter() - started)


def commits_per_second(path: Path, seconds: float) -> float:
    raw = connect_to_write(sqlite_database(load_driver()), Place(path), busy_timeout_s=5).raw
    raw.execute("CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, words TEXT)")
    until, done, started = time.perf_counter() + seconds, 0, time.perf_counter()
    while time.perf_counter() < until:
        raw.execute("INSERT INTO line (words) VALUES (?)", (PROMPT,))
        done += 1
    rate = done / (time.perf_counter() - started)
    raw.close()
    return rate


async def rounds(
    label: str, measured: Callable[[], Awaitable[float]], reference: Callable[[], Awaitable[float]]
) -> None:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(await reference())
        ours.append(await measured())
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(
        f"{label:<12} {median(ours):8.0f} charges/s {median(theirs):8.0f} raw commits/s"
        f"   ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


async def main(folder: Path, seconds: float) -> None:
    driver = load_driver()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"SQLite {driver.sqlite_version}, WAL, synchronous=FULL; {ROUNDS} rounds of {seconds:g} s each, medians")
    path, raw = folder / "store.sqlite3", folder / "raw.sqlite3"
    schema.upgrade(sqlite_url(path))
    store = SqliteStore(path)
    callers = [Caller(store, number) for number in range(max(CALLERS))]
    for caller in callers:
        await caller.sign_up()

    async def reference() -> float:
        return await asyncio.to_thread(commits_per_second, raw, seconds)

    for count in CALLERS:

        async def measured(count: int = count) -> float:
            return await charges_per_second(callers[:count], seconds)

        await rounds(f"{count} callers" if count > 1 else "1 caller", measured, reference)
    tally = Tally()

    def differences(snapshot: Snapshot) -> list[Difference]:
        books = snapshot.books
        found = audit(
            books.wallets(),
            books.entries(),
            books.settlements(),
            books.unheld(),
            books.purchases(),
            books.key_uses(),
            now=datetime.now(UTC) - timedelta(hours=1),
            tally=tally,
        )
        return list(found)

    started = time.perf_counter()
    assert await store.read(differences) == []
    print(f"the ledger verifies: {tally.charges} charges in {time.perf_counter() - started:.1f} s")
    await store.close()


if __name__ == "__main__":
    with TemporaryDirectory(prefix="chatbill-benchmark-") as directory:
        asyncio.run(main(Path(directory), float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
