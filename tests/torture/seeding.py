"""Bugs on purpose: a copy of the source in which exact passages read otherwise."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """In `file`, `old` is replaced by `new`; it must be there once."""

    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The text with the bug in it."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"a mutant no longer applies: its passage is {count} times in {self.file}:\n{self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """A bug, and the tests that must catch it: files or tests, as pytest is given them."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `ValueError` unless it applies."""
        for edit in self.edits:
            edit.applied((ROOT / edit.file).read_text())


def copy_of_source(origin: Path, folder: Path, mutant: Mutant | None) -> Path:
    """A copy of everything that is imported, with the bug in it, and compiled where `origin` is.

    Files of a copy are links to those of its origin, except what the bug changes.
    """
    copied = shutil.copy2 if origin == ROOT else os.link
    for name in ("src", "migrations"):
        shutil.copytree(origin / name, folder / name, copy_function=copied)
    for edit in mutant.edits if mutant else ():
        path = folder / edit.file
        text = edit.applied(path.read_text())
        path.unlink()
        path.write_text(text)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()
    return folder
