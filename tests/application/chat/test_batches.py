from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from chatbill.application.chat.batches import batches


async def immediate(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


async def test_fast_events_are_gathered_in_order() -> None:
    gathered = [batch async for batch in batches(immediate(5), gather_s=60, idle_s=60)]
    assert gathered == [[0, 1, 2, 3, 4]]


async def test_no_events_give_no_batches() -> None:
    assert [batch async for batch in batches(immediate(0), gather_s=60, idle_s=60)] == []


async def test_a_pause_gives_empty_batches_and_loses_no_event() -> None:
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


async def test_closing_early_closes_the_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[str, None]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with aclosing(batches(endless(), gather_s=0, idle_s=0.01)) as gathered:
        async for batch in gathered:
            if not batch:
                break
    await asyncio.wait_for(closed.wait(), timeout=5)


async def test_it_ends_at_once_when_it_is_told_to() -> None:
    left = asyncio.get_running_loop().create_future()

    async def endless() -> AsyncGenerator[str, None]:
        yield "first"
        await asyncio.Event().wait()

    seen: list[list[str]] = []
    async with asyncio.timeout(30):
        async for batch in batches(endless(), gather_s=0, idle_s=60, until=left):
            seen.append(batch)
            left.set_result(None)
    assert seen == [["first"]]
