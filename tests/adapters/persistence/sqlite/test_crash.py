"""A process killed at any moment loses nothing that it has confirmed, and charges nothing twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatbill.adapters.persistence import SqliteStore
from chatbill.application.ports.store import Snapshot
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import InteractionId
from chatbill.testing import ManualClock
from tests.kit.stores import fresh_database
from tests.kit.support import world

CREDITS = 1_000_000
CYCLES = 5
ROOT = Path(__file__).parents[4]


def talk_until_killed(path: Path, random_: random.Random) -> dict[InteractionId, int]:
    """Run the program, kill it shortly after its first line; return the confirmed replies and their cost."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.persistence.sqlite.talkers", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert program.stdout is not None
    first = program.stdout.readline()
    time.sleep(random_.uniform(0.0, 0.3))
    program.send_signal(signal.SIGKILL)
    # Not `communicate`, which would miss what was buffered beyond the first line.
    rest = program.stdout.read()
    assert program.wait(30) == -signal.SIGKILL
    program.stdout.close()
    # The last line may have been cut short.
    lines = [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    return {InteractionId(name): int(charged) for name, charged in map(str.split, lines)}


def kept(snapshot: Snapshot, told: InteractionId) -> Interaction | None:
    return snapshot.interactions.get(told)


def entries(snapshot: Snapshot) -> list[LedgerEntry]:
    return [entry for entry in snapshot.audit.entries() if isinstance(entry, LedgerEntry)]


@pytest.mark.slow
async def test_confirmed_replies_are_stored_and_charged_once_although_the_process_is_killed(tmp_path: Path) -> None:
    path, clock, random_ = fresh_database(tmp_path), ManualClock(), random.Random()
    store = SqliteStore(path)
    here = world(store=store, clock=clock, welcome_credits=CREDITS)
    use_cases, alice = here.use_cases, await here.person()
    told: dict[InteractionId, int] = {}
    for _ in range(CYCLES):
        told |= talk_until_killed(path, random_)

    clock.advance(3_600)
    await use_cases.maintenance.expire_holds()
    found: list[Difference] = []
    await use_cases.audit.verify_ledger(found.append)
    assert found == []

    charges = [entry for entry in await store.read(entries) if entry.kind is EntryKind.CHARGE]
    charged = {entry.cause.subject.id: entry.amount for entry in charges if entry.cause.subject}
    assert len(charged) == len(charges), "a reply was charged twice"
    for interaction_id, cost in told.items():
        stored = await store.read(lambda snapshot, told=interaction_id: kept(snapshot, told))  # type: ignore[misc]
        assert stored is not None
        assert (stored.outcome, stored.reply) == (Outcome.COMPLETED, "one two three")
        assert charged[interaction_id] == cost == stored.credits_charged
    wallet = await use_cases.billing.read_balance(alice)
    assert (wallet.posted, wallet.held) == (CREDITS - sum(charged.values()), 0)
    # At each kill, replies in progress may have been stored whose confirmation was lost.
    assert len(told) <= len(charges) <= len(told) + CYCLES * 64
    await store.close()
