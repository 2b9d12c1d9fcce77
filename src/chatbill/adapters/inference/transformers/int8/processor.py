"""What the processor of this machine says about itself."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return the name of the processor; on systems that do not tell it, its architecture."""
    return _entry("model name") or platform.processor() or platform.machine()


def processor_flags() -> str:
    """Return the instructions that it supports, divided by blanks; "" on systems other than Linux."""
    return _entry("flags") or _entry("Features")


def _entry(name: str) -> str:
    """Return an entry of the first core, "" if there is none."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    entries = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in entries if key.strip() == name), "")
