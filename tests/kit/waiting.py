"""Waiting for a condition, and work that waits for the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable


async def eventually(
    holds: Callable[[], bool] | Callable[[], Awaitable[bool]], *, within_s: float = 10, every_s: float = 0.005
) -> None:
    """Wait until the condition is true."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(every_s)


class Gate:
    """Work that waits until the test opens it, so that later work has to queue."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: object) -> None:
        self.entered.set()
        self.open.wait(timeout=5)
