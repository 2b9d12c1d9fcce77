"""The size and age of the cache, and the price of a cached reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.caching.engine import CachedReply, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.chat.events import Completed, Delta
from chatbill.application.chat.messages import Message
from chatbill.application.ports.engine import Chunk
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.chat.interactions import Interaction
from tests.adapters.inference.caching.scene import MINI, ManualTime, caching
from tests.kit.support import CATALOGUE, World, world

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
REPLIES = st.lists(st.text(max_size=400), max_size=4).map(
    lambda texts: CachedReply(chunks=tuple(Chunk(text, 1) for text in texts), prompt_tokens=1, completion_tokens=None)
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, REPLIES),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("wait"), st.floats(0, 30)),
    )
)


@given(OPERATIONS, st.integers(0, 5_000))
def test_a_cache_is_never_larger_or_older_than_allowed(operations: list[tuple[Any, ...]], max_bytes: int) -> None:
    time = ManualTime()
    cache = ReplyCache(max_bytes=max_bytes, ttl_s=20, now=time)
    newest: dict[bytes, tuple[CachedReply, float]] = {}
    for operation in operations:
        match operation:
            case ("put", key, reply):
                cache.put(key, reply)
                newest[key] = reply, time.now
                assert (cache.get(key) == reply) == (reply.size <= max_bytes)
            case ("get", key):
                found = cache.get(key)
                if found is not None:
                    reply, at = newest[key]
                    assert found == reply
                    assert time.now < at + 20
            case (_, seconds):
                time.now += seconds
            case _:
                pytest.fail(f"no such operation: {operation}")
        assert 0 <= cache.size <= max_bytes
        assert (cache.size == 0) == (len(cache) == 0)


def test_the_least_recently_used_reply_is_evicted_first() -> None:
    reply = CachedReply(chunks=(Chunk("x" * 1_000, 1),), prompt_tokens=1, completion_tokens=None)
    cache = ReplyCache(max_bytes=reply.size * 2, ttl_s=60, now=ManualTime())
    cache.put(b"first", reply)
    cache.put(b"second", reply)
    cache.get(b"first")
    cache.put(b"third", reply)

    assert [cache.get(key) is not None for key in (b"first", b"second", b"third")] == [True, False, True]


BY_TOKEN = Catalogue(
    tuple(
        replace(model, price=Price(per_reply=3, per_1k_prompt_tokens=100, per_1k_completion_tokens=500))
        for model in CATALOGUE.values()
    )
)


async def sent(here: World, alice: Principal) -> Interaction:
    reply = await here.use_cases.chat.send_message(alice, Message(model=MINI, text="one two three", temperature=0))
    events = [event async for event in reply]
    assert sum(isinstance(event, Delta) for event in events) == 3
    end = events[-1]
    assert isinstance(end, Completed)
    return end.interaction


@pytest.mark.parametrize(
    ("percent", "charged", "price"),
    [
        (100, 3 + 2, Price(per_reply=3, per_1k_prompt_tokens=100, per_1k_completion_tokens=500)),
        (50, 2 + 1, Price(per_reply=2, per_1k_prompt_tokens=50, per_1k_completion_tokens=250)),
        (0, 0, Price(per_reply=0)),
    ],
)
async def test_a_cached_reply_has_its_own_price_and_the_ledger_agrees(percent: int, charged: int, price: Price) -> None:
    here = world(
        engine=caching(ScriptedEngine(BY_TOKEN)),
        catalogue=BY_TOKEN,
        welcome_credits=1_000,
        cached_price_percent=percent,
    )
    alice = await here.person()
    first, second = [await sent(here, alice) for _ in range(2)]
    history = await here.use_cases.chat.list_history(alice)
    differences: list[object] = []
    verdict = await here.use_cases.audit.verify_ledger(differences.append)

    assert (first.cached, second.cached) == (False, True)
    assert (first.reply, first.usage) == (second.reply, second.usage)
    assert second.usage == Usage(prompt_tokens=3, completion_tokens=3)
    assert (first.credits_charged, second.credits_charged) == (3 + 2, charged)
    assert (second.price, second.held >= charged) == (price, True)
    assert [item.cached for item in history.items] == [True, False]
    assert verdict.agrees, differences
