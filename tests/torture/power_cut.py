"""A power cut at any moment: the disk forgets what was not synced, and whatever was answered must still be there.

A shim records every write and sync of the store's own SQLite, in order with the answers. For each point on that tape
a disk is rebuilt as a cut could have left it, and the store opens it. The same on copies of the store that sync less
must find lost answers, or the experiment proves nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chatbill.adapters.persistence import SqliteStore, sqlite_url
from chatbill.adapters.persistence.sqlite.driver import load_driver
from tests.torture.bench import Figures, Task
from tests.torture.books import problems
from tests.torture.client import Journal, to_text
from tests.torture.crash_embedded import populate
from tests.torture.databases import Database
from tests.torture.disk import Disk, Event, played
from tests.torture.recorded import ANSWERS
from tests.torture.seeding import ROOT, Edit, Mutant, copy_of_source

SHIM = Path(__file__).with_name("shim.c")
FILE = "chatbill.sqlite3"
TIMES = 60
CONTROL_POINTS = 40
DRIVER = "src/chatbill/adapters/persistence/sqlite/driver.py"
CONTROLS = {
    level: Mutant(level, (Edit(DRIVER, "PRAGMA synchronous = FULL", f"PRAGMA synchronous = {level}"),))
    for level in ("NORMAL", "OFF")
}


def run(task: Task) -> Figures:
    """The store as it is, at `size` points; then the controls."""
    shim = compiled(task.folder)
    if shim is None:
        return Figures(notes="SKIPPED: NO POWER WAS CUT, because that needs Linux and a C compiler (gcc).")
    tape, disk, journal = recorded(task, shim, source=None)
    events = list(played(tape))
    kinds = Counter(event.op for event in events)
    if not kinds["S"]:
        return Figures(problems=["the store's SQLite synced nothing: is it preloaded, is it linked otherwise?"])
    found = examined(task, disk, events, journal, task.size)
    trouble = [problem for point in found for problem in point]
    notes = [f"{kinds['W']} writes, {kinds['S']} syncs, {answers(events)} answers on the tape"]
    for level, mutant in CONTROLS.items():
        lost = control(task, shim, mutant)
        notes.append(
            f"control synchronous={level}: {lost} of {CONTROL_POINTS} points lost answers or damaged the books"
        )
        if not lost:
            trouble.append(f"the control with synchronous={level} lost nothing, so this experiment cannot fail")
    return Figures(
        attempts=len(found),
        successes=sum(not point for point in found),
        cycles=len(found),
        problems=trouble,
        notes="; ".join(notes),
    )


def answers(events: list[Event]) -> int:
    """How many promises are on the tape."""
    journal = Journal()
    for event in events:
        if event.name == ANSWERS and event.op == "W":
            journal.note(json.loads(event.data))
    return journal.answers


def control(task: Task, shim: Path, mutant: Mutant) -> int:
    """At how many points a store that syncs less breaks a promise."""
    source = copy_of_source(ROOT, task.folder / f"source-{mutant.name}", mutant)
    tape, disk, journal = recorded(task, shim, source=source)
    found = examined(task, disk, list(played(tape)), journal, CONTROL_POINTS)
    return sum(bool(point) for point in found)


def compiled(folder: Path) -> Path | None:
    """The shim, made by the machine's own compiler; None where there is none, or the system is another than Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-w", "-o", library, SHIM, "-ldl", "-lpthread"], check=True)
    return library


def recorded(task: Task, shim: Path, *, source: Path | None) -> tuple[Path, Disk, Journal]:
    """Record a session: its tape, the disk as it was before, and who took part."""
    folder = task.folder / f"recorded-{source.name if source else 'as-it-is'}"
    folder.mkdir()
    database = task.databases.fresh()
    people, journal = asyncio.run(populate(database))
    path = Path(shutil.copy(database.address.removeprefix("sqlite:///"), folder / FILE))
    disk, tape = Disk.of(folder), folder.with_suffix(".tape")
    environment = os.environ | {"LD_PRELOAD": str(shim), "CHATBILL_DISK": str(folder), "CHATBILL_TAPE": str(tape)}
    if source:
        environment["PYTHONPATH"] = f"{source / 'src'}{os.pathsep}{Path(__file__).parents[2]}"
    command = [sys.executable, "-m", "tests.torture.recorded", str(path), to_text(people), str(TIMES)]
    subprocess.run(command, env=environment, check=True)
    return tape, disk, journal


def examined(task: Task, disk: Disk, events: list[Event], people: Journal, points: int) -> list[list[str]]:
    """What is wrong after a cut at each of so many points of the tape."""
    found = []
    for number, (position, files) in enumerate(cuts(disk, events, points, task.chance)):
        journal = Journal(people=people.people)
        for line in files.pop(ANSWERS, b"").decode().splitlines():
            journal.note(json.loads(line))
        folder = task.folder / f"cut-{number}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        broken = asyncio.run(opened(folder / FILE, journal))
        found.append([f"cut after event {position}: {problem}" for problem in broken])
        shutil.rmtree(folder)
    return found


def cuts(disk: Disk, events: list[Event], points: int, chance: random.Random) -> Iterator[tuple[int, dict[str, bytes]]]:
    """So many points in the order of the tape, and what each leaves: half anywhere, half where the database's own
    file is written, which is rare and delicate. The journal of answers is no part of the disk: it is all there."""
    delicate = [number for number, event in enumerate(events) if event.name == FILE or event.op in "UC"] or [0]
    anywhere = chance.choices(range(len(events)), k=points - points // 2)
    chosen = Counter(anywhere + chance.choices(delicate, k=points // 2))
    for number, event in enumerate(events):
        disk.see(event)
        for _ in range(chosen[number]):
            left = disk.cut(chance)
            if answers := disk.files.get(ANSWERS):
                answers.sync()
                left[ANSWERS] = answers.synced
            yield number, left


async def opened(path: Path, journal: Journal) -> list[str]:
    """What the store makes of what is left."""
    store = Database(sqlite_url(path)).open()
    assert isinstance(store, SqliteStore)
    try:
        return await problems(store, journal) + damage(path)
    except Exception as error:  # noqa: BLE001 - rows that are damaged can break anything that reads them
        return [f"damaged: {type(error).__name__} {error}"]
    finally:
        await store.close()


def damage(path: Path) -> list[str]:
    """What SQLite itself finds wrong with the file."""
    connection = load_driver().connect(path)
    rows = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return [f"damaged: {words}" for (words,) in rows if words != "ok"]
