"""Measures this machine: memory, processor, disk, and the GPUs that torch uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from chatbill.application.ports.machine import GpuFigures, MachineFigures


class PsutilMachine:
    """Reads the figures of the system. `folder` is the one whose disk is measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = psutil.Process()

    def read(self) -> MachineFigures:
        """Return the present figures."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._existing(self._folder)))
        return MachineFigures(
            process_bytes=sum(self._resident()),
            free_bytes=memory.available,
            total_bytes=memory.total,
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            cpu_percent=psutil.cpu_percent(),
            gpus=tuple(_gpus()),
        )

    def _resident(self) -> Iterator[int]:
        yield self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            with suppress(psutil.Error):  # it has ended
                yield child.memory_info().rss

    @staticmethod
    def _existing(folder: Path) -> Path:
        return next(each for each in (folder, *folder.parents) if each.exists())


def _gpus() -> Iterator[GpuFigures]:
    """Yield the GPUs, where a model has loaded torch; this import would take seconds."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_available() or not cuda.is_initialized():
        return
    for number in range(cuda.device_count()):
        free, total = cuda.mem_get_info(number)
        yield GpuFigures(name=f"cuda:{number}", used_bytes=total - free, total_bytes=total)
