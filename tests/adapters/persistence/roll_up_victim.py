"""A process that rolls up and kills itself in the middle of it, for the test of what becomes of the sums.

`python -m tests.adapters.persistence.roll_up_victim URL SEED`. It ends with exit code 0 once everything is summed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from chatbill.adapters.persistence import open_store
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.application.reports.roll_up import RollUp
from tests.kit.histories import AUTUMN

T = TypeVar("T")
DEATHS = 0.1


class Deadly:
    """A store whose process may die before, within or after any transaction."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self._store, self._chance = store, chance

    def _maybe_die(self) -> None:
        if self._chance.random() < DEATHS:
            os.kill(os.getpid(), signal.SIGKILL)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        def deadly(tx: Transaction) -> T:
            self._maybe_die()
            result = work(tx)
            self._maybe_die()
            return result

        result = await self._store.write(deadly)
        self._maybe_die()
        return result

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        return await self._store.read(query)

    async def close(self) -> None:
        await self._store.close()


async def main(url: str, seed: int) -> None:
    """Roll up everything, or die."""
    store = Deadly(open_store(url), random.Random(seed))
    roll_up = RollUp(store=store, clock=lambda: AUTUMN + timedelta(days=60))
    await roll_up()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
