"""A quote says what a reply can cost, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.chat.messages import Message
from chatbill.application.chat.quote_message import USUAL_TOKENS, Quote
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.billing.prices import Usage
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvalidRequest, ModelUnavailable, NotFound, Overloaded, RateLimited, TooLarge
from tests.kit.chat import TOKEN_PRICED, WITH_TOKENS, Scene, events_of, scene

PRICE = WITH_TOKENS[TOKEN_PRICED].price


async def quote(here: Scene, text: str = "Hello", model: str = TOKEN_PRICED, **more: object) -> Quote:
    message = Message(model=model, text=text, **more)  # type: ignore[arg-type]
    return await here.world.use_cases.chat.quote_message(here.alice, message)


async def test_it_is_what_the_same_message_holds() -> None:
    here = await scene()
    quoted = await quote(here)
    reply = await here.send(model=TOKEN_PRICED)

    assert quoted.held_at_most == reply.accepted.held == PRICE.of(Usage(prompt_tokens=10, completion_tokens=20))
    assert (quoted.available, quoted.prompt_tokens, quoted.limit, quoted.is_counted) == (100, 10, 2_048, True)
    await reply.abandon()


async def test_it_holds_nothing_and_takes_no_place() -> None:
    here = await scene()
    await quote(here)

    assert here.engine.last.closed
    assert not here.engine.last.streaming.is_set()
    assert await here.wallet() == here.purse(posted=100, version=1)
    assert await here.world.use_cases.chat.list_history(here.alice) == await (
        await scene()
    ).world.use_cases.chat.list_history(here.alice)


async def test_the_expected_price_is_that_of_the_latest_replies() -> None:
    here = await scene()
    assert USUAL_TOKENS > 20
    assert (await quote(here)).expected == (await quote(here)).held_at_most
    for tokens in (2, 6):
        reply = await here.send(model=TOKEN_PRICED)
        here.engine.last.say("x", tokens)
        here.engine.last.end()
        await events_of(reply)

    assert (await quote(here)).expected == PRICE.of(Usage(prompt_tokens=10, completion_tokens=4))


async def test_a_reply_that_is_in_the_cache_is_quoted_at_its_price() -> None:
    here = await scene(cached_price_percent=50)
    prepare = here.engine.prepare

    async def prepare_cached(request: GenerationRequest) -> Generation:
        generation = await prepare(request)
        here.engine.last.cached = True
        return generation

    here.engine.prepare = prepare_cached  # type: ignore[method-assign]
    assert (await quote(here, model="demo-pro")).held_at_most == 2


@pytest.mark.parametrize("state", [ModelState.RESTING, ModelState.LOADING, ModelState.UNAVAILABLE])
async def test_a_model_that_is_not_in_memory_is_not_loaded_for_it(state: ModelState) -> None:
    here = await scene()
    here.engine.status = lambda: {TOKEN_PRICED: ModelStatus(state=state)}  # type: ignore[method-assign]
    quoted = await quote(here, "Hélas")

    assert not here.engine.generations
    assert (quoted.prompt_tokens, quoted.is_counted) == (6, False)
    assert quoted.held_at_most == PRICE.of(Usage(prompt_tokens=6, completion_tokens=20))


@pytest.mark.parametrize("refusal", [Overloaded(), ModelUnavailable(TOKEN_PRICED, Description("model_unknown"))])
async def test_it_is_an_upper_bound_while_the_model_takes_no_message(refusal: Exception) -> None:
    here = await scene()
    here.engine.refusal = refusal  # type: ignore[assignment]
    assert not (await quote(here)).is_counted


async def test_it_refuses_what_a_message_is_refused_for() -> None:
    here = await scene()
    with pytest.raises(InvalidRequest):
        await quote(here, " ")
    with pytest.raises(TooLarge):
        await quote(here, "x" * 40_000)
    with pytest.raises(InvalidRequest):
        await quote(here, model="none")
    other = replace(here, alice=await here.world.person("bob"))
    reply = await other.send()
    with pytest.raises(NotFound):
        await quote(here, conversation_id=reply.accepted.conversation_id)
    await reply.abandon()


async def test_it_is_limited_for_each_person() -> None:
    here = await scene(rate_limits=MovingWindowRateLimits())
    for _ in range(here.world.policy.quotes.times):
        await quote(here)
    with pytest.raises(RateLimited):
        await quote(here)
