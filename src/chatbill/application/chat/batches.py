"""Gathers events into batches, so that a fast reply is not passed on token by token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

T = TypeVar("T")


async def batches(
    events: AsyncIterator[T], *, gather_s: float, idle_s: float, until: asyncio.Future[None] | None = None
) -> AsyncGenerator[list[T], None]:
    """Yield lists of events, each gathered for `gather_s` seconds from its first event. No event may be None.

    After `idle_s` seconds without an event, yields an empty list, so that the consumer can act without one. When
    `until` is done, ends at once, without the events of the current list. Raises what `events` raises.
    """
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[T | None] | None = None
    try:
        while True:
            batch: list[T] = []
            deadline = loop.time() + idle_s
            while True:
                coming = coming or asyncio.ensure_future(anext(events, None))
                watched: set[asyncio.Future[Any]] = {coming, until} if until else {coming}
                timeout_s = max(0.0, deadline - loop.time())
                await asyncio.wait(watched, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                if until and until.done():
                    return
                if not coming.done():
                    break
                event, coming = coming.result(), None
                if event is None:
                    if batch:
                        yield batch
                    return
                deadline = deadline if batch else loop.time() + gather_s
                batch.append(event)
            yield batch
    finally:
        if coming:
            coming.cancel()
