"""Seeded bugs: each is put into a copy of the source, and a named test must fail on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.torture.bench import Figures, Task
from tests.torture.mutations import MUTANTS
from tests.torture.seeding import ROOT, Mutant, copy_of_source

TESTS_FAILED = 1
"""Pytest's exit code for that; any other would mean that the tests did not run."""
TIMEOUT_S = 300
SHOWN_CHARS = 2_000


@dataclass(frozen=True)
class Catch:
    """What became of one mutant."""

    mutant: Mutant
    test: str
    books: str
    problem: str = ""


def run(task: Task) -> Figures:
    """Every mutant, two at a time; and first none, on which every test must pass."""
    began = time.monotonic()
    chosen = MUTANTS[: task.size]
    tests = sorted({test for mutant in chosen for test in mutant.caught_by})
    whole = copy_of_source(ROOT, task.folder / "whole", None)
    code, output, _ = tested(whole, tests)
    if code != 0:
        return Figures(problems=[f"these tests must pass where there is no mutant:\n{output[-SHOWN_CHARS:]}"])
    with ThreadPoolExecutor(2) as pool:
        # Copied from the first, with what Python has compiled by now.
        catches = list(
            pool.map(
                lambda numbered: hunted(whole, task.folder / f"mutant-{numbered[0]}", numbered[1]), enumerate(chosen)
            )
        )
    lines = [f"{catch.mutant.name} | {catch.test} | {catch.books}" for catch in catches]
    below = sum(catch.books.startswith("refused") for catch in catches)
    return Figures(
        attempts=len(chosen),
        successes=sum(not catch.problem for catch in catches),
        problems=[catch.problem for catch in catches if catch.problem],
        notes=f"{below} of them are refused by the store alone; {time.monotonic() - began:.0f} s",
        lines=["mutant | caught by | what else notices it, where no test looks", *lines],
    )


def hunted(whole: Path, folder: Path, mutant: Mutant) -> Catch:
    """Put the bug in and run its tests, and see what the database and the audit make of it."""
    source = copy_of_source(whole, folder, mutant)
    code, output, noticed = tested(source, list(mutant.caught_by))
    shutil.rmtree(folder)
    found = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    if code != TESTS_FAILED or not found:
        return Catch(mutant, "NOTHING", "", f"nothing catches: {mutant.name}\n{output[-SHOWN_CHARS:]}")
    return Catch(mutant, found[1], noticed)


def tested(source: Path, tests: list[str]) -> tuple[int, str, str]:
    """Run these tests on this copy of the source; exit code, output, and what the probe saw."""
    options = ["-x", "-q", "-ra", "--tb=line", "-p", "no:cacheprovider", "-m", "not postgres"]
    # The copy must be what is imported.
    environment = os.environ | {"PYTHONPATH": f"{source / 'src'}{os.pathsep}{ROOT}"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.torture.hunt", *options, *tests],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    noticed, _, output = ran.stdout.partition("\n")
    return ran.returncode, output + ran.stderr, noticed
