"""What every experiment of the torture bench is given, and what it gives back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.torture.databases import Databases


@dataclass(frozen=True, kw_only=True)
class Task:
    """One experiment on one kind of store. `size` counts what the experiment is measured in."""

    size: int
    databases: Databases
    folder: Path
    chance: random.Random


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of it. It passed when there are no `problems`: each is a broken promise, in words.

    `lines` are a table of its own, with cells between bars.
    """

    attempts: int = 0
    successes: int = 0
    cycles: int = 0
    notes: str = ""
    problems: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """For the way from the experiment's process to the bench."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Figures:
        """As `to_json` wrote it."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The module `tests.torture.NAME` has a function `run`. Sizes are in `unit`s."""

    name: str
    promise: str
    unit: str
    quick: int
    full: int
    kinds: tuple[str, ...] = ("sqlite", "postgres")
    needs: str | None = None
    """A program that must be installed."""

    @property
    def run(self) -> Callable[[Task], Figures]:
        """Imported late, so that each process imports its own experiment alone."""
        function: Callable[[Task], Figures] = import_module(f"tests.torture.{self.name}").run
        return function


ALL = ("memory", "sqlite", "postgres")

EXPERIMENTS = (
    Experiment(
        name="mutants",
        promise="a bug put into the path of money on purpose is caught by a named test",
        unit="mutants",
        quick=100,
        full=100,
        kinds=("source",),
    ),
    Experiment(
        name="faults",
        promise="a fault at any statement leaves nothing half done, and a retry has one effect",
        unit="passes",
        quick=1,
        full=20,
        kinds=ALL,
    ),
    Experiment(
        name="crash_service",
        promise="kill -9 of `chatbill serve` under load loses nothing that was answered",
        unit="cycles",
        quick=20,
        full=200,
    ),
    Experiment(
        name="crash_embedded",
        promise="kill -9 of a process that embeds the use cases loses nothing that was answered",
        unit="cycles",
        quick=200,
        full=5_000,
    ),
    Experiment(
        name="machine",
        promise="whatever people, engines and time do, all stores agree with plain arithmetic",
        unit="examples",
        quick=20,
        full=2_000,
        kinds=("all at once",),
    ),
    Experiment(
        name="crash_server",
        promise="kill -9 of the PostgreSQL server loses nothing that was answered",
        unit="cycles",
        quick=5,
        full=100,
        kinds=("postgres",),
    ),
    Experiment(
        name="power_cut",
        promise="a power cut loses nothing that was answered; the control, with fewer syncs, does",
        unit="points",
        quick=100,
        full=2_000,
        kinds=("sqlite",),
    ),
    Experiment(
        name="bank",
        promise="credits that move between wallets are never seen made or lost",
        unit="seconds",
        quick=6,
        full=600,
        kinds=ALL,
    ),
    Experiment(
        name="races",
        promise="100 credits buy 100 replies; one key has one effect; one of three ends wins",
        unit="rounds",
        quick=200,
        full=10_000,
        kinds=ALL,
    ),
    Experiment(
        name="flood",
        promise="clients that flood, keep silent, never read or do not pay stop nobody who is signed in",
        unit="seconds",
        quick=10,
        full=120,
        kinds=("sqlite",),
    ),
    Experiment(
        name="rolling",
        promise="restarts of services behind nginx, kill -9 and a restart of the database lose and repeat no answer",
        unit="seconds",
        quick=24,
        full=60,
        kinds=("postgres",),
        needs="nginx",
    ),
    Experiment(
        name="fairness",
        promise="a flood of one person delays another by at most two replies, and kill -9 in it leaves no hold",
        unit="rounds",
        quick=2,
        full=50,
    ),
)
