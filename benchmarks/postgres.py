"""Measures how fast a whole charge is on PostgreSQL: `python -m benchmarks.postgres [SECONDS_A_ROUND]`.

The server comes from a wheel and syncs every commit. Two figures, each with its reference on the same server in the
same minute, in alternating rounds:

- Eight callers with a wallet each, by one process of Python, beside `pgbench`'s TPC-B-like transactions by 8 clients.
  Of those one is one transaction; a charge is two.
- Eight callers on one wallet, beside a charge written by hand: SELECT FOR UPDATE, the same rows changed by plain
  psycopg on eight threads, and no checks at all.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg

from benchmarks.charges import (
    ENDING,
    PROMPT,
    Person,
    charges_per_second,
    compare,
    machine,
    new_id,
    prove_the_books,
)
from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.sql import schema
from chatbill.domain.billing.subjects import INTERACTION
from chatbill.domain.shared.descriptions import Description
from tests.kit import postgres

ROUNDS = 8
CLIENTS = 8
REPLY = Description.of("reply", model="demo-mini").dumps()
SCALE = 10
"""Branches of the bank of `pgbench`: more than clients, so that they do not wait for each other."""


class HandWrittenCharge:
    """A charge by plain SQL, as in a quick prototype."""

    def __init__(self, url: str, person: Person) -> None:
        self._url = url
        self._person = person

    def per_second(self, seconds: float) -> float:
        until, started = time.perf_counter() + seconds, time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            done = sum(pool.map(self._keep_charging, [until] * CLIENTS))
        return done / (time.perf_counter() - started)

    def _keep_charging(self, until: float) -> int:
        done = 0
        with psycopg.connect(self._url, autocommit=True, prepare_threshold=0) as connection:
            while time.perf_counter() < until:
                self._charge(connection)
                done += 1
        return done

    def _charge(self, connection: psycopg.Connection) -> None:
        hold, interaction, now, who = new_id(), new_id(), datetime.now(UTC), self._person.principal
        with connection.transaction():
            _, held, _ = self._locked(connection)
            connection.execute("UPDATE wallets SET held = %s WHERE id = %s", (held + 1, who.wallet_id))
            connection.execute("UPDATE conversations SET updated_at = %s WHERE id = %s", (now, self._person.talk))
            connection.execute(
                "INSERT INTO holds (id, wallet_id, amount, created_at, expires_at, state, captured, refunded,"
                " subject_kind, subject_id, purpose) VALUES (%s, %s, 1, %s, %s, 'pending', 0, 0, %s, %s, %s)",
                (hold, who.wallet_id, now, now + timedelta(seconds=60), INTERACTION, interaction, REPLY),
            )
            connection.execute(
                "INSERT INTO interactions (id, conversation_id, user_id, wallet_id, hold_id, model, price_per_reply,"
                " price_per_1k_prompt_tokens, price_per_1k_completion_tokens, held, created_at, outcome, prompt_tokens,"
                " completion_tokens, credits_charged, prompt, reply)"
                " VALUES (%s, %s, %s, %s, %s, 'demo-mini', 1, 0, 0, 1, %s, 'running', 0, 0, 0, %s, '')",
                (interaction, self._person.talk, who.user_id, who.wallet_id, hold, now, PROMPT),
            )
        now, read, wrote = datetime.now(UTC), ENDING.usage.prompt_tokens, ENDING.usage.completion_tokens
        with connection.transaction():
            posted, held, version = self._locked(connection)
            connection.execute(
                "UPDATE interactions SET outcome = 'completed', prompt_tokens = %s, completion_tokens = %s,"
                " credits_charged = 1, balance_after = %s, processing_time_ms = 1, finished_at = %s, reply = %s"
                " WHERE id = %s",
                (
                    read,
                    wrote,
                    posted - 1,
                    now,
                    ENDING.reply,
                    interaction,
                ),
            )
            connection.execute(
                "UPDATE holds SET state = 'captured', captured = 1, settled_at = %s WHERE id = %s", (now, hold)
            )
            connection.execute(
                "UPDATE wallets SET posted = %s, held = %s, version = %s WHERE id = %s",
                (posted - 1, held - 1, version + 1, who.wallet_id),
            )
            connection.execute(
                "INSERT INTO ledger_entries (wallet_id, wallet_version, id, kind, debit, credit, amount, balance_after,"
                " description, created_at, hold_id, interaction_id)"
                " VALUES (%s, %s, %s, 'charge', %s, 'house:revenue', 1, %s, %s, %s, %s, %s)",
                (
                    who.wallet_id,
                    version + 1,
                    new_id(),
                    f"wallet:{who.wallet_id}",
                    posted - 1,
                    REPLY,
                    now,
                    hold,
                    interaction,
                ),
            )

    def _locked(self, connection: psycopg.Connection) -> tuple[int, int, int]:
        query = "SELECT posted, held, version FROM wallets WHERE id = %s FOR UPDATE"
        row = connection.execute(query, (self._person.principal.wallet_id,)).fetchone()
        assert row
        return row


def pgbench(server: postgres.Server, url: str, seconds: float) -> float:
    """Return the transactions a second that `pgbench` reports."""
    program = server.handle.bin_path / "pgbench"
    sizes = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))]
    command = [program, *sizes, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    rate = re.search(r"tps = ([\d.]+)", said)
    assert rate, said
    return float(rate[1])


async def main(server: postgres.Server, seconds: float) -> None:
    bank, url = server.empty(), server.empty()
    schema.upgrade(url)
    server.program("pgbench", "-i", "-q", "-s", str(SCALE), bank)
    print(machine())
    print(f"{server.run('SELECT version()')[0][0].split(' on ')[0]}, fsync={server.run('SHOW fsync')[0][0]};", end=" ")
    print(f"{ROUNDS} rounds of {seconds:g} s each, medians")
    store = open_store(url)
    people = [await Person.register(store, f"person-{number}") for number in range(CLIENTS)]
    hot = await Person.register(store, "hot")
    by_hand = HandWrittenCharge(url, hot)

    async def transactions() -> float:
        return await asyncio.to_thread(pgbench, server, bank, seconds)

    async def written_by_hand() -> float:
        return await asyncio.to_thread(by_hand.per_second, seconds)

    async def charges(callers: list[Person]) -> float:
        return await charges_per_second(callers, seconds)

    units = "charges/s", "pgbench tx/s"
    await compare("8 wallets", lambda: charges(people), transactions, rounds=ROUNDS, units=units, at_least=0.5)
    units = "charges/s", "by hand/s"
    await compare(
        "1 hot wallet", lambda: charges([hot] * CLIENTS), written_by_hand, rounds=ROUNDS, units=units, at_least=1
    )
    await prove_the_books(store)
    await store.close()


if __name__ == "__main__":
    own = postgres.start(durable=True)
    try:
        asyncio.run(main(own, float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
    finally:
        postgres.stop(own)
