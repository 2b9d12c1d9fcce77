"""How much a server may send for a reply of so many tokens."""

from __future__ import annotations

import pytest

from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.adapters.inference.openai.usage_counter import UsageCounter

MAX_TOKENS = 10


def counter() -> UsageCounter:
    return UsageCounter(TokenCounter(None), stop=(), max_tokens=MAX_TOKENS)


def test_a_server_that_sends_ever_more_parts_is_cut_off() -> None:
    usage, parts = counter(), 0
    while not usage.ended:
        usage.push("a")
        parts += 1
        assert parts < 1_000
    assert MAX_TOKENS < parts <= 3 * MAX_TOKENS + 16
    chunks, total = usage.finish(reported=10**9)
    assert total == MAX_TOKENS
    assert sum(chunk.tokens for chunk in chunks) <= MAX_TOKENS


def test_a_part_that_no_such_reply_can_have_fails() -> None:
    usage = counter()
    usage.push("a" * 6_000)
    with pytest.raises(ServerError) as failed:
        usage.push("a" * 6_000)
    assert failed.value.kind is ErrorKind.BROKEN
