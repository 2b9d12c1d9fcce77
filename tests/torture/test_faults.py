from __future__ import annotations

import pytest

from tests.torture.databases import memory, sqlite
from tests.torture.fault_cases import CASES
from tests.torture.faults import Seen, tried


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_anywhere_leaves_nothing_half_done(name: str) -> None:
    """And doing it again has one effect. The torture bench does the same on every store."""
    seen = Seen()
    with memory() as databases:
        await tried(name, databases, seen)
    assert seen.faults
    assert seen.problems == []


async def test_a_refund_is_kept_by_a_database_too() -> None:
    seen = Seen()
    with sqlite() as databases:
        await tried("refund", databases, seen)
    assert seen.problems == []
