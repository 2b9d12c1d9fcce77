"""Freed memory goes back to the system, not only to the heap."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
from pathlib import Path
from chatbill.adapters.inference.availability.heap import return_freed_memory

def held_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024

# Below glibc's threshold for mappings of their own, with survivors in between: that is what it keeps.
blocks = [b"1" * 100_000 for _ in range(2_000)]
blocks = blocks[::50]
before = held_mb()
return_freed_memory()
print(before, held_mb())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells how much memory a process has")
def test_memory_freed_between_live_blocks_returns_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    before, after = map(int, done.stdout.split())

    assert before > 150
    assert after < 50
