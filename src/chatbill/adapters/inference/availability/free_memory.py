"""Measure the RAM that this process can still take: of the machine, or of its control groups if that is less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as a number of about 2^63."""


def free_ram_bytes(*, groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Return the free RAM in bytes. Cached files count as free, because the system drops them when memory is needed."""
    free: int = psutil.virtual_memory().available
    return max(0, min([free, *_left_in_groups(groups, membership)]))


def _left_in_groups(groups: Path, membership: Path) -> Iterator[int]:
    """Yield what each control group above this process still allows; version 2 and version 1."""
    try:
        lines = membership.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            for folder in _upwards(groups, path):
                yield from _left(folder, "memory.max", "memory.current", prefix="")
        elif "memory" in controllers.split(","):
            for folder in _upwards(groups / "memory", path):
                yield from _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", prefix="total_")


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group and of every group above it. In a container its own group may be the root."""
    folder = root / path.strip("/")
    while folder != root:
        yield folder
        folder = folder.parent
    yield root


def _left(folder: Path, limit_file: str, used_file: str, *, prefix: str) -> Iterator[int]:
    try:
        limit = int((folder / limit_file).read_text(encoding="ascii"))  # "max" is no number: no limit
        used = int((folder / used_file).read_text(encoding="ascii"))
        counts = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return
    if limit < _UNLIMITED:
        cached = int(counts.get(f"{prefix}inactive_file", 0)) + int(counts.get(f"{prefix}active_file", 0))
        yield limit - max(0, used - cached)
