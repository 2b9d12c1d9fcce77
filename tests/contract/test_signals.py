"""What every adapter of the signals port promises."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from chatbill.adapters.valkey.signals import ValkeySignals
from chatbill.application.ports.signals import MAX_WAITING, LocalSignals, Signals
from tests.kit.valkey import connected, shared
from tests.kit.waiting import eventually


@pytest.fixture(params=["local", "valkey"])
async def signals(request: pytest.FixtureRequest) -> AsyncIterator[Signals]:
    if request.param == "local":
        yield LocalSignals()
        return
    async with connected(shared()) as server:
        made = ValkeySignals(server)
        yield made
        await made.close()


@pytest.fixture
def topic() -> str:
    return f"topic {uuid.uuid4().hex}"


async def reached(signals: Signals, topic: str) -> None:
    """Wait until the topic has a listener, which a busy server may need time for."""

    async def has_listener() -> bool:
        return await signals.send(topic, "first") > 0

    await eventually(has_listener)


async def test_a_signal_reaches_all_who_listen_to_its_topic_and_no_others(signals: Signals, topic: str) -> None:
    async with signals.listen(topic) as one, signals.listen(topic) as two, signals.listen(topic + "x") as other:
        await reached(signals, topic)
        await signals.send(topic, "é\n{}")
        for inbox in (one, two):
            while (text := await inbox.next(timeout_s=10)) == "first":
                pass
            assert text == "é\n{}"
        assert await other.next(timeout_s=0.05) is None


async def test_signals_arrive_in_their_order(signals: Signals, topic: str) -> None:
    async with signals.listen(topic) as inbox:
        await reached(signals, topic)
        for number in range(50):
            await signals.send(topic, str(number))
        told = [await inbox.next(timeout_s=10) for _ in range(51)]
        assert [text for text in told if text != "first"] == [str(number) for number in range(50)][: len(told)]


async def test_one_who_sends_knows_that_none_listens(signals: Signals, topic: str) -> None:
    assert await signals.send(topic, "into the void") == 0
    async with signals.listen(topic):
        await reached(signals, topic)

    async def is_left() -> bool:
        return await signals.send(topic, "again") == 0

    await eventually(is_left)


async def test_an_inbox_that_is_not_read_keeps_the_newest(signals: Signals, topic: str) -> None:
    async with signals.listen(topic) as inbox:
        await reached(signals, topic)
        for number in range(MAX_WAITING + 50):
            await signals.send(topic, str(number))
        await signals.send(topic, "last")
        told: list[str | None] = []
        while "last" not in told:
            told.append(await inbox.next(timeout_s=10))
    assert len(told) <= MAX_WAITING + 50
