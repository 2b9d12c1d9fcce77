"""The torture bench: `python -m tests.torture quick|full [EXPERIMENT …]`. Exit code 0: every promise was kept."""

from __future__ import annotations

# ruff: noqa: T201 - it prints its figures
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.kit.proxies import program
from tests.torture.bench import EXPERIMENTS, Experiment, Figures, Task
from tests.torture.databases import POSTGRES, has_store, of_kind, postgres_server

ROOT = Path(__file__).parents[2]
LIMITS_S = {"quick": 1_200, "full": 12 * 3_600}
"""How long one experiment may take before it counts as stuck."""
SHOWN_PROBLEMS, SHOWN_CHARS = 10, 4_000


@dataclass(frozen=True)
class Job:
    """One experiment on one kind of store, and what came of it."""

    experiment: Experiment
    kind: str
    size: int
    figures: Figures
    seconds: float

    @property
    def passed(self) -> bool:
        """No promise was broken."""
        return not self.figures.problems

    def cells(self) -> list[str]:
        """One line of the table."""
        figures = self.figures
        return [
            "ok" if self.passed else "FAILED",
            self.experiment.name,
            self.kind,
            f"{self.size} {self.experiment.unit}",
            *(f"{number:,}" if number else "-" for number in (figures.attempts, figures.successes, figures.cycles)),
            f"{len(figures.problems)}",
            f"{self.seconds:.1f}",
            figures.notes,
        ]


HEADER = ["", "experiment", "store", "size", "attempts", "successes", "cycles", "differences", "seconds", "notes"]


def main() -> int:
    """Run what was asked for, each experiment in a process of its own, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("size", choices=("quick", "full"), nargs="?", default="quick")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="all, where none is named")
    parser.add_argument("--store", help="on this kind of store alone")
    parser.add_argument("--seed", type=int, default=None, help="for the same chances again")
    parser.add_argument("--times", type=int, default=None, help="another size than quick or full")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="experiments at a time")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if unknown := set(asked.experiments) - {experiment.name for experiment in EXPERIMENTS}:
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}")
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    todo = [
        (experiment, kind, asked.times or getattr(experiment, asked.size))
        for experiment in EXPERIMENTS
        if not asked.experiments or experiment.name in asked.experiments
        for kind in experiment.kinds
        if asked.store in (None, kind) and has_store(kind) and has_what_it_needs(experiment)
    ]
    if asked.here:
        [(experiment, kind, size)] = todo
        print(run_here(experiment, kind, size, seed).to_json())
        return 0
    return report(todo, seed=seed, jobs=asked.jobs, limit_s=LIMITS_S[asked.size])


def has_what_it_needs(experiment: Experiment) -> bool:
    """Say loudly when its program is missing."""
    if experiment.needs is None or program(experiment.needs):
        return True
    print(f"NOT RUN: {experiment.name.upper()} NEEDS {experiment.needs.upper()}, WHICH IS NOT INSTALLED", flush=True)
    return False


def run_here(experiment: Experiment, kind: str, size: int, seed: int) -> Figures:
    """Run one experiment in this process."""
    chance = random.Random(f"{seed} {experiment.name} {kind}")
    with tempfile.TemporaryDirectory(prefix="chatbill-torture-") as folder, of_kind(kind) as databases:
        return experiment.run(Task(size=size, databases=databases, folder=Path(folder), chance=chance))


def report(todo: list[tuple[Experiment, str, int]], *, seed: int, jobs: int, limit_s: int) -> int:
    """Run them, a line for each as it ends and a table at the end; the exit code."""
    print(f"{len(todo)} experiments, {jobs} at a time, seed {seed}", flush=True)
    began = time.monotonic()
    with ExitStack() as stack:
        environment = dict(os.environ)
        if any(kind == "postgres" for _, kind, _ in todo):
            environment[POSTGRES] = stack.enter_context(postgres_server())[0]
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        done = list(pool.map(lambda each: run_apart(*each, seed=seed, environment=environment, limit_s=limit_s), todo))
    print("\n" + "\n".join(table([HEADER, *(job.cells() for job in done)])))
    for job in done:
        if job.figures.lines:
            rows = [line.split(" | ") for line in job.figures.lines]
            print(f"\n{job.experiment.name}\n" + "\n".join(table(rows)))
    failed = [job for job in done if not job.passed]
    print(f"\n{len(done) - len(failed)} of {len(done)} experiments passed in {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def run_apart(
    experiment: Experiment, kind: str, size: int, *, seed: int, environment: dict[str, str], limit_s: int
) -> Job:
    """Run one experiment in a process of its own, and print its line."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.torture", "quick", experiment.name]
    options = ["--store", kind, "--seed", str(seed), "--times", str(size), "--here"]
    try:
        ran = subprocess.run(
            [*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit_s, check=True
        )
        figures = Figures.from_json(ran.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        figures = Figures(problems=[f"the experiment was stuck for {limit_s} s"])
    except subprocess.CalledProcessError as broken:
        # The last line of a traceback says what happened, and a log that is shortened keeps its beginning.
        what = str(broken.stderr).strip().rpartition("\n")[2]
        last = f"{broken.stdout[-SHOWN_CHARS:]}{broken.stderr[-SHOWN_CHARS:]}"
        figures = Figures(problems=[f"the experiment itself broke: {what}\n{last}"])
    job = Job(experiment, kind, size, figures, time.monotonic() - began)
    told = dict(zip(HEADER[1:], job.cells()[1:], strict=True))
    numbers = ", ".join(f"{name} {told[name]}" for name in HEADER[3:9] if told[name] != "-")
    words = [
        f"{job.cells()[0]:6} {experiment.name} on {kind}: {numbers}. {figures.notes}",
        f"       ({experiment.promise})",
    ]
    words += [f"       PROBLEM {problem}" for problem in figures.problems[:SHOWN_PROBLEMS]]
    print("\n".join(words), flush=True)
    return job


def table(rows: list[list[str]]) -> Iterator[str]:
    """Columns side by side."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
