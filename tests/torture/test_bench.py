from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.torture.bench import EXPERIMENTS
from tests.torture.disk import Disk, Event
from tests.torture.mutations import MUTANTS
from tests.torture.seeding import Edit, Mutant

NAME = "chatbill.sqlite3"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_seeded_bug_still_applies_and_names_tests_that_exist(mutant: Mutant) -> None:
    mutant.check()
    for named in mutant.caught_by:
        path, *names = named.partition("[")[0].split("::")
        text = Path(path).read_text(encoding="utf-8")
        assert all(f"def {name}(" in text or f"class {name}" in text for name in names)


def test_a_seeded_bug_whose_passage_is_gone_is_told_of() -> None:
    gone = Edit("src/chatbill/domain/billing/wallets.py", "there is no such passage", "")
    with pytest.raises(ValueError, match="no longer applies"):
        Mutant("gone", (gone,)).check()


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_experiment_can_be_run(experiment: object) -> None:
    assert callable(getattr(experiment, "run", None))


def after_cuts(disk: Disk) -> set[bytes | None]:
    """Everything that can be left of the file."""
    chance = random.Random(1)
    return {disk.cut(chance).get(NAME) for _ in range(500)}


def test_what_was_synced_survives_a_power_cut_and_nothing_else_surely_does() -> None:
    disk = Disk()
    disk.see(Event("C", NAME, 0, b""))
    disk.see(Event("W", NAME, 0, b"aa"))
    disk.see(Event("S", NAME, 0, b""))
    disk.see(Event("S", "", 0, b""))
    assert after_cuts(disk) == {b"aa"}
    disk.see(Event("W", NAME, 2, b"bb"))
    disk.see(Event("W", NAME, 0, b"cc"))
    assert after_cuts(disk) == {b"aa", b"aabb", b"cc", b"ccbb"}


def test_sectors_of_a_write_survive_apart() -> None:
    disk = Disk()
    disk.see(Event("C", NAME, 0, b""))
    disk.see(Event("S", "", 0, b""))
    disk.see(Event("W", NAME, 500, b"x" * 24))
    assert {len(left or b"") for left in after_cuts(disk)} == {0, 512, 524}


def test_a_file_that_was_made_or_removed_may_be_there_or_not_until_its_folder_is_synced() -> None:
    disk = Disk()
    disk.see(Event("C", NAME, 0, b""))
    assert after_cuts(disk) == {None, b""}
    disk.see(Event("S", "", 0, b""))
    assert after_cuts(disk) == {b""}
    disk.see(Event("U", NAME, 0, b""))
    assert after_cuts(disk) == {None, b""}


def test_what_was_written_anew_is_not_mixed_with_what_was_removed() -> None:
    disk = Disk()
    for op in ("C", "W", "S", "U", "C"):
        disk.see(Event(op, NAME, 0, b"old" if op == "W" else b""))
    assert after_cuts(disk) == {None, b""}, "the first was never surely there"
