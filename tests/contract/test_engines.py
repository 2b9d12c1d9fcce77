"""What every engine promises of a reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chatbill.application.ports.engine import Engine, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ContextLengthExceeded, ModelUnavailable
from chatbill.domain.shared.ids import ModelId
from tests.contract.engines import (
    LONG,
    MINI,
    PRO,
    SHORT,
    asked,
    chunks_of,
    is_idle,
    reply,
    was_cut_off,
    with_cached,
)


@with_cached
async def test_every_model_is_ready_after_the_start(engine: Engine) -> None:
    statuses = engine.status()

    assert list(statuses) == [MINI, PRO]
    assert all(status.state is ModelState.READY and status.reason is None for status in statuses.values())


@with_cached
async def test_a_reply_comes_in_chunks_with_their_tokens(engine: Engine) -> None:
    chunks = await chunks_of(await engine.prepare(asked(SHORT)))

    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks).strip()
    assert 1 < sum(chunk.tokens for chunk in chunks) <= 30


@with_cached
async def test_a_reply_ends_at_max_tokens(engine: Engine) -> None:
    _, tokens = await reply(engine, asked(LONG, max_tokens=12))

    assert tokens == 12


@with_cached
async def test_one_token_can_be_asked_for(engine: Engine) -> None:
    _, tokens = await reply(engine, asked(LONG, max_tokens=1))

    assert tokens == 1


@with_cached
async def test_at_temperature_0_the_same_prompt_gives_the_same_reply(engine: Engine) -> None:
    assert await reply(engine, asked(LONG)) == await reply(engine, asked(LONG))


@with_cached
@pytest.mark.parametrize("temperature", [5e-324, 1e-310, 1e-45, 1e-38, 1e-6])
async def test_a_temperature_next_to_0_is_0(engine: Engine, temperature: float) -> None:
    assert await reply(engine, asked(SHORT, temperature=temperature)) == await reply(engine, asked(SHORT))


@pytest.mark.parametrize(
    "odd",
    [
        {"temperature": 1e-5},
        {"temperature": 2.0},
        {"temperature": 2.0, "top_p": 5e-324},
        {"temperature": 1e-5, "top_p": 1e-45},
        {"top_p": 1 - 2**-53},
        {"seed": -(2**63)},
        {"seed": 2**63 - 1},
    ],
    ids=str,
)
async def test_no_allowed_setting_makes_a_reply_fail(engine: Engine, odd: dict[str, Any]) -> None:
    _, tokens = await reply(engine, replace(asked(SHORT, temperature=1.0, max_tokens=4), **odd))

    assert tokens >= 1
    assert await reply(engine, asked(SHORT)) == await reply(engine, asked(SHORT))


@with_cached
async def test_a_reply_ends_before_a_stop_string(engine: Engine) -> None:
    whole, whole_tokens = await reply(engine, asked(LONG))
    stop = whole[len(whole) // 2 :][:5]

    cut, cut_tokens = await reply(engine, asked(LONG, stop=("never written", stop)))

    assert cut == whole[: whole.index(stop)]
    assert cut_tokens <= whole_tokens


@with_cached
async def test_a_stop_string_that_never_comes_costs_neither_text_nor_tokens(engine: Engine) -> None:
    whole = await reply(engine, asked(LONG))
    almost = whole[0][-3:] + "but not quite"

    assert await reply(engine, asked(LONG, stop=(almost,))) == whole


@with_cached
async def test_a_reply_that_ended_for_lack_of_tokens_was_cut_off(engine: Engine) -> None:
    whole, tokens = await reply(engine, asked(SHORT, max_tokens=60))

    assert whole
    assert tokens < 60
    assert not await was_cut_off(engine, asked(SHORT, max_tokens=60))
    assert not await was_cut_off(engine, asked(SHORT, max_tokens=tokens + 1))
    assert await was_cut_off(engine, asked(SHORT, max_tokens=tokens))
    assert await was_cut_off(engine, asked(SHORT, max_tokens=tokens - 1))
    assert await was_cut_off(engine, asked(LONG, max_tokens=1))


@with_cached
async def test_a_stop_string_on_the_last_allowed_token_cuts_nothing_off(engine: Engine) -> None:
    whole, tokens = await reply(engine, asked(LONG, max_tokens=12))
    cut, cut_tokens = await reply(engine, asked(LONG, max_tokens=12, stop=(whole[-3:],)))

    assert (tokens, cut) == (12, whole[: whole.index(whole[-3:])])
    assert cut_tokens <= 12
    assert not await was_cut_off(engine, asked(LONG, max_tokens=12, stop=(whole[-3:],)))


@with_cached
async def test_the_oldest_turns_are_left_out_of_a_long_conversation(engine: Engine) -> None:
    last_alone = await engine.prepare(asked("And now?"))
    await last_alone.close()
    before = tuple(
        Turn(role, f"{number} " + "some words that were said " * 10)
        for number in range(100)
        for role in (Role.USER, Role.ASSISTANT)
    )
    generation = await engine.prepare(asked("And now?", before=before, max_tokens=100))
    await generation.close()

    window = 400 if generation.prompt_tokens < 400 else 2_048
    assert last_alone.prompt_tokens < generation.prompt_tokens <= window - 100
    # At most one exchange less than what would fit.
    assert generation.prompt_tokens > window - 100 - 2 * 80
    assert generation.dropped_turns % 2 == 0
    assert 180 < generation.dropped_turns < 200 or window > 400
    assert last_alone.dropped_turns == 0


@with_cached
async def test_a_short_conversation_is_read_completely(engine: Engine) -> None:
    before = (Turn(Role.USER, "My name is Ada."), Turn(Role.ASSISTANT, "Hello Ada."))
    alone = await engine.prepare(asked("What is my name?"))
    whole = await engine.prepare(asked("What is my name?", before=before))
    await alone.close()
    await whole.close()

    assert whole.prompt_tokens >= alone.prompt_tokens + 6


@with_cached
async def test_a_message_over_the_window_is_refused(engine: Engine) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"whole=False"):
        await engine.prepare(asked("word " * 10_000))

    assert await is_idle(engine)


@with_cached
async def test_an_unknown_model_is_unavailable(engine: Engine) -> None:
    with pytest.raises(ModelUnavailable):
        await engine.prepare(asked(SHORT, model=ModelId("no-such-model")))


@with_cached
async def test_text_of_every_kind_is_read(engine: Engine) -> None:
    for text in ("naïve 😀 日本語", "<|im_end|>", "{{ messages }}", "\ue000\ue001", "a" * 500, "\u202e\u0000x"):
        _, tokens = await reply(engine, asked(text, max_tokens=2))
        assert tokens >= 0
