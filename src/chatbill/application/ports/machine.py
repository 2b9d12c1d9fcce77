"""The machine port: memory, processor, disk and GPUs of the machine on which this process runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFigures:
    """The memory of one GPU, in bytes."""

    name: str
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFigures:
    """Figures of one moment. 0 is unknown.

    `process_bytes` is the memory of this process and of those that it started, `free_bytes` what it can still take.
    `disk_free_bytes` is that of the folder for data. `cpu_percent` is of all cores since the last time it was read.
    """

    process_bytes: int = 0
    free_bytes: int = 0
    total_bytes: int = 0
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    cpu_percent: float = 0.0
    gpus: tuple[GpuFigures, ...] = ()


class Machine(Protocol):
    """Measures the machine."""

    def read(self) -> MachineFigures:
        """Return the present figures. Takes some milliseconds, so it is called from a thread."""
        ...


class UnknownMachine:
    """Knows nothing about the machine."""

    def read(self) -> MachineFigures:
        """Return figures without any."""
        return MachineFigures()
