"""What a disk can hold after a power cut, from a tape of everything that was written and synced.

What was synced is there. Of what came after a file's last sync, any part may be: nothing, all, a beginning, some of
the writes, or some sectors of some writes. A file that was made or removed is surely so once its folder is synced.
"""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
HEAD = struct.Struct("<4Q")
NOT_NEEDED = "-shm"
"""SQLite's index of its log is memory shared by processes; after a crash it is made anew."""


@dataclass(frozen=True)
class Event:
    """One thing that was done to a file. `op`: Create, Write, Truncate (to `offset`), Sync, Unlink, Rename."""

    op: str
    name: str
    offset: int
    data: bytes


def played(tape: Path) -> Iterator[Event]:
    """The events of a tape, in their order."""
    rest = memoryview(tape.read_bytes())
    while rest:
        op, name_size, size, offset = HEAD.unpack(rest[: HEAD.size])
        name_end = HEAD.size + name_size
        end = name_end + (size if chr(op) in "WR" else 0)
        yield Event(chr(op), bytes(rest[HEAD.size : name_end]).decode(), offset, bytes(rest[name_end:end]))
        rest = rest[end:]


@dataclass
class File:
    """What is surely there, and what came since."""

    synced: bytes = b""
    since: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        """All of it is there now."""
        if self.since:
            self.synced = applied(self.synced, self.since)
            self.since = []


@dataclass
class Disk:
    """Files by name, as the program sees them, and as a folder that was not synced may still show them."""

    files: dict[str, File] = field(default_factory=dict)
    before: dict[str, File | None] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """What was there in the beginning, synced."""
        return cls({path.name: File(path.read_bytes()) for path in folder.iterdir() if path.is_file()})

    def see(self, event: Event) -> None:
        """Do as the program did."""
        match event.op:
            case "C":
                self.before.setdefault(event.name, self.files.get(event.name))
                self.files[event.name] = File()
            case "U":
                self.before.setdefault(event.name, self.files.pop(event.name, None))
            case "R":
                target = event.data.decode()
                self.before.setdefault(target, self.files.get(target))
                self.before.setdefault(event.name, self.files[event.name])
                self.files[target] = self.files.pop(event.name)
            case "S" if not event.name:
                self.before.clear()
            case "S":
                self.files[event.name].sync()
            case _:
                self.files.setdefault(event.name, File()).since.append(event)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """One of the many things that may be left: each file's content by name."""
        files: dict[str, File | None] = {**copy.copy(self.files)}
        files |= {name: file for name, file in self.before.items() if chance.random() < 1 / 2}
        return {
            name: applied(file.synced, kept(file.since, chance))
            for name, file in files.items()
            if file is not None and not name.endswith(NOT_NEEDED)
        }


def kept(events: list[Event], chance: random.Random) -> list[Event]:
    """What reached the disk of what was not synced."""
    match chance.choice(("none", "all", "beginning", "some", "torn")):
        case "none":
            return []
        case "all":
            return events
        case "beginning":
            return events[: chance.randint(0, len(events))]
        case "some":
            return [event for event in events if chance.random() < 1 / 2]
        case _:
            return [part for event in events for part in torn(event) if chance.random() < 1 / 2]


def torn(event: Event) -> Iterator[Event]:
    """The sectors of a write."""
    if event.op != "W":
        yield event
        return
    start, end = event.offset, event.offset + len(event.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield Event("W", event.name, start, event.data[start - event.offset : stop - event.offset])
        start = stop


def applied(content: bytes, events: list[Event]) -> bytes:
    """The content after these writes and truncations."""
    data = bytearray(content)
    for event in events:
        end = event.offset + len(event.data)
        if len(data) < end:
            data.extend(bytes(end - len(data)))
        if event.op == "T":
            del data[event.offset :]
        else:
            data[event.offset : end] = event.data
    return bytes(data)
