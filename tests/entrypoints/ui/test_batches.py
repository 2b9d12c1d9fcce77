from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from chatbill.entrypoints.ui.batches import batches


async def at_once(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


async def test_what_comes_fast_is_gathered_in_order() -> None:
    gathered = [batch async for batch in batches(at_once(5), gather_s=60, idle_s=60)]
    assert gathered == [[0, 1, 2, 3, 4]]


async def test_nothing_at_all_gathers_to_nothing() -> None:
    assert [batch async for batch in batches(at_once(0), gather_s=60, idle_s=60)] == []


async def test_silence_is_heard_as_empty_batches_and_loses_nothing() -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncGenerator[str, None]:
        yield "first"
        await go_on.wait()
        yield "second"

    seen: list[list[str]] = []
    async with aclosing(batches(slow(), gather_s=0, idle_s=0.01)) as gathered:
        async for batch in gathered:
            seen.append(batch)
            if not batch:
                go_on.set()
    assert [event for batch in seen for event in batch] == ["first", "second"]
    assert [] in seen


async def test_leaving_early_lets_go_of_what_was_awaited() -> None:
    left = asyncio.Event()

    async def endless() -> AsyncGenerator[str, None]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            left.set()

    async with aclosing(batches(endless(), gather_s=0, idle_s=0.01)) as gathered:
        async for batch in gathered:
            if not batch:
                break
    await asyncio.wait_for(left.wait(), timeout=5)
