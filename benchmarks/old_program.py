"""Fills a PostgreSQL database of the first revision with rows, and charges and reads as the programs of that time did.

The rows are made by the server, without asking its triggers. They are consistent: the ledger verifies after an upgrade.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

LARGEST = 500
"""How many people there are at most. Each has the same number of interactions."""
PAUSE_S = 0.02
"""Between two operations of a thread of the load."""
ATTEMPTS = 50
"""How often a settlement is tried."""
HOLD_COLUMNS = ["id", "wallet_id", "amount", "state", "captured", "refunded"]
PURPOSE = '{"code":"reply","model":"demo-mini"}'


def id_of(kind: str, number: str) -> str:
    """Return SQL for an id as long as those of the programs."""
    return f"'{kind}-' || lpad(({number})::text, {35 - len(kind)}, '0')"


WALLET, USER, NUMBER = id_of("wallet", "p"), id_of("user", "p"), "((p - 1) * {each} + k)"
HOLD, INTERACTION = id_of("hold", NUMBER), id_of("interaction", NUMBER)
TALK = id_of("talk", "p * 50 + k % 50")
BEGAN = "now() - interval '364 days'"
ASKED = f"({BEGAN} + k * (interval '363 days' / {{each}}))"
ENDED = f"({ASKED} + interval '5 seconds')"
IS_CHARGED = "k % 10 <> 0"
CHARGES = "(k - k / 10)"
PAID = 22_000
OF_PEOPLE = "FROM generate_series(1, {people}) AS p"
OF_REQUESTS = "FROM generate_series(1, {each}) AS k, generate_series(1, {people}) AS p"

FILL = (
    f"INSERT INTO wallets SELECT {WALLET}, {PAID} - {CHARGES}, 0, {CHARGES} + 2, 0 {OF_PEOPLE}, (SELECT {{each}} AS k)",
    f"INSERT INTO users SELECT {USER}, {USER}, {USER}, {USER}, {USER}, '-', 'user', {WALLET}, {BEGAN} {OF_PEOPLE}",
    (
        f"INSERT INTO sessions SELECT {id_of('session', 'p * 10 + k')}, {USER}, {BEGAN}, now(), NULL, NULL {OF_PEOPLE},"
        " generate_series(0, 9) AS k"
    ),
    "INSERT INTO refresh_tokens SELECT md5(id), id, created_at FROM sessions",
    (
        f"INSERT INTO conversations SELECT {TALK}, {USER}, 'Talk', {BEGAN}, now(), NULL {OF_PEOPLE},"
        " generate_series(0, 49) AS k"
    ),
    (
        f"INSERT INTO holds SELECT {HOLD}, {WALLET}, 1, {ASKED}, {ASKED} + interval '60 seconds',"
        f" CASE WHEN {IS_CHARGED} THEN 'captured' ELSE 'released' END, ({IS_CHARGED})::int, 0, {ENDED} {OF_REQUESTS}"
    ),
    (
        f"INSERT INTO interactions SELECT {INTERACTION}, {TALK}, {USER}, {WALLET}, {HOLD}, 'demo-mini', 1, 0, 0, 1,"
        f" {ASKED}, CASE WHEN {IS_CHARGED} THEN 'completed' ELSE 'failed' END, 12, 60, ({IS_CHARGED})::int,"
        f" {PAID} - {CHARGES}, 5000, {ENDED}, CASE WHEN NOT {IS_CHARGED} THEN 'generation_failed' END,"
        f" CASE WHEN NOT {IS_CHARGED} THEN 'The model could not finish this reply.' END,"
        f" repeat('What? ', 10), repeat('Well. ', 50) {OF_REQUESTS}"
    ),
    (
        f"INSERT INTO payments SELECT {id_of('payment', 'p')}, {USER}, {WALLET}, 'large', {PAID - 1_000}, 1999, 'EUR',"
        f" 'any', {BEGAN}, 'confirmed', {BEGAN}, {PAID} {OF_PEOPLE}"
    ),
    (
        f"INSERT INTO ledger_entries SELECT {WALLET}, 1, {id_of('grant', 'p')}, 'grant', 'house:promotions',"
        f" 'wallet:' || {WALLET}, 1000, 1000, 'Welcome credits', {BEGAN} {OF_PEOPLE}"
    ),
    (
        f"INSERT INTO ledger_entries SELECT {WALLET}, 2, {id_of('entry-paid', 'p')}, 'top_up', 'house:payments',"
        f" 'wallet:' || {WALLET}, {PAID - 1_000}, {PAID}, 'Top-up, large', {BEGAN}, NULL, NULL, {id_of('payment', 'p')}"
        f" {OF_PEOPLE}"
    ),
    (
        f"INSERT INTO ledger_entries SELECT {WALLET}, {CHARGES} + 2, {id_of('entry', NUMBER)}, 'charge',"
        f" 'wallet:' || {WALLET}, 'house:revenue', 1, {PAID} - {CHARGES}, 'Reply by demo-mini', {ENDED}, {HOLD},"
        f" {INTERACTION} {OF_REQUESTS} WHERE {IS_CHARGED}"
    ),
    (
        f"INSERT INTO idempotency_keys SELECT {USER}, 'key-' || {NUMBER}, md5('' || {NUMBER}), {ASKED}, {INTERACTION}"
        f" {OF_REQUESTS}"
    ),
)
"""Nine of ten replies of a person were charged, and the others failed."""


def fill(url: str, rows: int) -> int:
    """Add so many interactions, with all that belongs to them; return how many people there are."""
    people = min(LARGEST, max(2, rows // 20))
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in FILL:
            connection.execute(statement.format(people=people, each=rows // people).encode())
    settle(url)
    return people


def settle(url: str) -> None:
    """Let the server do what it would otherwise do during the measurement."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one statement took, and the SQLSTATE of its failure."""

    what: str
    began: float
    took_s: float
    failure: str


@dataclass
class Load:
    """Threads that charge and read until they are told to stop. All their statements are timed."""

    url: str
    people: int
    readers: int = 2
    writers: int = 2
    timings: list[Timing] = field(default_factory=list)
    charges: int = 0
    errors: list[Exception] = field(default_factory=list)
    """What ended a thread before it was told to stop."""

    def __post_init__(self) -> None:
        self._over = threading.Event()
        works = [self._read] * self.readers + [self._charge] * self.writers
        self._threads = [threading.Thread(target=self._go_on, args=(work,), daemon=True) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=120)

    def _go_on(self, work: Any) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
                while not self._over.wait(PAUSE_S):
                    work(connection, random.randint(1, self.people))  # noqa: S311 - any person
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise it to
            self.errors.append(error)

    def _run(self, connection: Any, statement: str, *values: Any) -> list[dict[str, Any]]:
        began, failure = time.perf_counter(), ""
        try:
            # A prepared statement for all columns fails when there are more; the programs name the columns.
            cursor = connection.execute(statement, values, prepare=False)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            failure = error.sqlstate or "connection lost"
            raise
        finally:
            what = " ".join(statement.split()[:3]) if statement[:6] != "SELECT" else statement.partition(" WHERE")[0]
            self.timings.append(Timing(what, began, time.perf_counter() - began, failure))

    def _read(self, connection: Any, person: int) -> None:
        user, wallet = f"user-{person:031}", f"wallet-{person:029}"
        self._run(connection, "SELECT posted, held, version, overdraft FROM wallets WHERE id = %s", wallet)
        self._run(
            connection,
            "SELECT id, title FROM conversations WHERE user_id = %s AND deleted_at IS NULL"
            " ORDER BY updated_at DESC, id DESC LIMIT 20",
            user,
        )
        self._run(
            connection,
            "SELECT id, outcome, prompt, reply FROM interactions WHERE user_id = %s"
            " ORDER BY created_at DESC, id DESC LIMIT 20",
            user,
        )
        self._run(
            connection,
            "SELECT id, kind, amount, description FROM ledger_entries WHERE wallet_id = %s"
            " ORDER BY wallet_version DESC LIMIT 20",
            wallet,
        )

    def _charge(self, connection: Any, person: int) -> None:
        name = f"load-{threading.get_ident()}-{time.perf_counter_ns()}"
        if self._in_transaction(connection, self._accept, person, name):
            for _ in range(ATTEMPTS):
                if self._in_transaction(connection, self._settle, person, name):
                    self.charges += 1
                    return
            raise RuntimeError(f"a hold stays for ever: {name}")

    def _in_transaction(self, connection: Any, work: Any, person: int, name: str) -> bool:
        """Return whether it was committed."""
        try:
            self._run(connection, "BEGIN")
            # All columns, because they tell which form a hold has. The lock keeps the schema as it is until the end.
            wallet = f"wallet-{person:029}"
            (row,) = self._run(connection, "SELECT * FROM wallets WHERE id = %s FOR UPDATE", wallet)
            work(connection, row, f"user-{person:031}", f"talk-{person * 50:031}", name)
            self._run(connection, "COMMIT")
        except psycopg.Error:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            return False
        return True

    def _accept(self, connection: Any, row: dict[str, Any], user: str, talk: str, name: str) -> None:
        hold, held = HOLD_COLUMNS, [name, row["id"], 1, "pending", 0, 0]
        if "owner_kind" in row:
            hold, held = [*hold, "subject_kind", "subject_id", "purpose"], [*held, "interaction", name, PURPOSE]
        self._run(connection, "SELECT disabled_at FROM users WHERE id = %s", user)
        self._run(
            connection,
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, created_at, subject_id)"
            " VALUES (%s, %s, '-', now(), %s) ON CONFLICT DO NOTHING",
            *(user, name, name),
        )
        self._run(connection, "UPDATE conversations SET updated_at = now() WHERE id = %s", talk)
        marks = ", ".join(["%s"] * len(hold))
        self._run(
            connection,
            f"INSERT INTO holds ({', '.join(hold)}, created_at, expires_at)"  # noqa: S608 - our own names
            f" VALUES ({marks}, now(), now() + interval '1 hour')",
            *held,
        )
        self._run(connection, "UPDATE wallets SET held = held + 1 WHERE id = %s", row["id"])
        self._run(
            connection,
            "INSERT INTO interactions (id, conversation_id, user_id, wallet_id, hold_id, model, price_per_reply,"
            " price_per_1k_prompt_tokens, price_per_1k_completion_tokens, held, created_at, outcome, prompt_tokens,"
            " completion_tokens, credits_charged, prompt, reply)"
            " VALUES (%s, %s, %s, %s, %s, 'demo-mini', 1, 0, 0, 1, now(), 'running', 0, 0, 0, 'What?', '')",
            *(name, talk, user, row["id"], name),
        )

    def _settle(self, connection: Any, row: dict[str, Any], _user: str, _talk: str, name: str) -> None:
        text = PURPOSE if "owner_kind" in row else "Reply by demo-mini"
        posted, version = row["posted"] - 1, row["version"] + 1
        self._run(
            connection,
            "UPDATE holds SET state = 'captured', captured = 1, settled_at = now() WHERE id = %s AND state = 'pending'",
            name,
        )
        self._run(
            connection,
            "UPDATE wallets SET posted = %s, held = held - 1, version = %s WHERE id = %s",
            *(posted, version, row["id"]),
        )
        self._run(
            connection,
            "INSERT INTO ledger_entries (wallet_id, wallet_version, id, kind, debit, credit, amount, balance_after,"
            " description, created_at, hold_id, interaction_id)"
            " VALUES (%s, %s, %s, 'charge', %s, 'house:revenue', 1, %s, %s, now(), %s, %s)",
            *(row["id"], version, name, f"wallet:{row['id']}", posted, text, name, name),
        )
        self._run(
            connection,
            "UPDATE interactions SET outcome = 'completed', prompt_tokens = 12, completion_tokens = 7,"
            " credits_charged = 1, balance_after = %s, processing_time_ms = 1, finished_at = now(), reply = 'Well.'"
            " WHERE id = %s AND outcome = 'running'",
            *(posted, name),
        )
