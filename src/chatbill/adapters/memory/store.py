"""The store in memory: a lock, and a copy of every row that goes in or out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from chatbill.adapters.memory.repositories import MemoryTransaction
from chatbill.application.ports.store import Snapshot, StoreUnavailable, Transaction

T = TypeVar("T")


class MemoryStore:
    """Keeps everything until the process ends. Obeys the same contract as the stores on disk."""

    def __init__(self) -> None:
        self._everything = MemoryTransaction()
        self._alone = threading.Lock()
        self._closed = False

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` alone; its changes are kept together or not at all."""
        # Yielding first lets concurrent callers interleave as they would on a real store.
        await asyncio.sleep(0)
        with self._alone:
            self._check_open()
            try:
                result = work(self._everything)
            except BaseException:
                self._everything.roll_back()
                raise
            self._everything.commit()
            return result

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` between two writes."""
        await asyncio.sleep(0)
        with self._alone:
            self._check_open()
            try:
                return query(self._everything)
            finally:
                self._everything.roll_back()

    async def close(self) -> None:
        """Refuse later calls."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
