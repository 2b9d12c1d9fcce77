"""`kill -9`, at a random moment, of a process that embeds the use cases; then every answer it gave is checked."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chatbill.application.shared.principal import Principal
from tests.torture.bench import Figures, Task
from tests.torture.books import problems
from tests.torture.client import Journal, to_text
from tests.torture.databases import Database
from tests.torture.service import PLENTY, person, service

PEOPLE = 4
LONGEST_LIFE_S = 0.12
DIE_EARLY = 0.2
"""How many die before they have answered anything; the others at a random moment after their first answer."""
FRESH_EVERY = 25
"""Cycles until a new database, so that checking everything stays quick."""


@dataclass
class Seen:
    """What came of all cycles."""

    asked: int = 0
    answered: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)


def run(task: Task) -> Figures:
    """So many victims, on a fresh database now and then."""
    seen = Seen()
    with victims(task.databases.fresh()) as maker:
        for first in range(0, task.size, FRESH_EVERY):
            cycles = range(first, min(task.size, first + FRESH_EVERY))
            life_of_a_database(maker, task.databases.fresh(), cycles, task.chance, seen)
    return Figures(
        attempts=seen.asked,
        successes=seen.answered,
        cycles=task.size,
        problems=seen.problems,
        notes=f"{seen.repeated} requests without an answer were repeated with their keys",
    )


def life_of_a_database(
    maker: subprocess.Popen[str], database: Database, cycles: range, chance: random.Random, seen: Seen
) -> None:
    """One crash after the other on one database, which nobody tidies up in between."""
    people, journal = asyncio.run(populate(database))
    for cycle in cycles:
        again = {each.user_id: journal.unanswered(each.user_id) for each in people}
        seen.repeated += sum(map(len, again.values()))
        order = {"url": database.url, "people": to_text(people), "cycle": cycle, "again": again}
        early = chance.random() < DIE_EARLY
        crash(maker, order, journal, early=early, after_s=chance.uniform(0, LONGEST_LIFE_S))
        seen.problems += [f"cycle {cycle}: {problem}" for problem in asyncio.run(check(database, journal))]
    seen.asked += len(journal.asked)
    seen.answered += journal.answers


def crash(
    maker: subprocess.Popen[str], order: dict[str, Any], journal: Journal, *, early: bool, after_s: float
) -> None:
    """Let a victim work for a while, kill it, and take down what it had said."""
    victim = 0
    assert maker.stdin
    assert maker.stdout
    maker.stdin.write(json.dumps(order) + "\n")
    maker.stdin.flush()
    for text in maker.stdout:
        line = json.loads(text)
        journal.note(line)
        if "dead" in line:
            assert line["signal"] == signal.SIGKILL, "the victim died before it was killed"
            return
        victim = line.get("victim", victim)
        if victim and (early or "told" in line or "paid" in line):
            time.sleep(after_s)
            os.kill(victim, signal.SIGKILL)
            victim = 0
    raise AssertionError("there are no more victims")


async def populate(database: Database) -> tuple[list[Principal], Journal]:
    """People with plenty of credits."""
    store = database.open()
    use_cases = service(store, welcome_credits=PLENTY)
    people = [await person(use_cases, f"person{number}") for number in range(PEOPLE)]
    await store.close()
    return people, Journal(people=[(each.user_id, each.wallet_id) for each in people])


async def check(database: Database, journal: Journal) -> list[str]:
    """Open what is left, sweep, and check every promise."""
    store = database.open()
    try:
        return await problems(store, journal)
    finally:
        await store.close()


@contextmanager
def victims(rehearsal: Database) -> Iterator[subprocess.Popen[str]]:
    """The program that makes them."""
    people, _ = asyncio.run(populate(rehearsal))
    order = {"url": rehearsal.url, "people": to_text(people)}
    command = [sys.executable, "-m", "tests.torture.victim", json.dumps(order)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        yield maker
        assert maker.stdin
        maker.stdin.close()
