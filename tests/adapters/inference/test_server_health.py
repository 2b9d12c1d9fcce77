"""Models on servers: when they count as working, what is asked again, and how servers are asked."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.adapters.inference.routing import RoutedEngine
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.chat.events import Completed, Failed
from chatbill.application.ports.engine import Engine, GenerationRequest, ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, Overloaded
from chatbill.domain.shared.ids import ModelId
from tests.adapters.inference.fake_servers import (
    BadServer,
    Move,
    Wire,
    bad_server,
    delta,
    eventually,
    good_server,
    on_server,
    works,
)
from tests.adapters.inference.server_scene import MINI, QUICK, Scene, scene
from tests.kit.support import CATALOGUE

PRO = ModelId("demo-pro")
BROKEN, NOT_SET_UP = Description("model_server_broken"), Description("model_not_set_up")


def in_turn(*moves: Move) -> Move:
    """The first move for the first request, and so on; the last one from then on."""
    left = list(moves)

    async def move(wire: Wire) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(wire)

    return move


def refusing(status: int, body: str = "{}", *headers: str) -> Move:
    async def move(wire: Wire) -> None:
        await wire.refuse(status, body, *headers)

    return move


async def reset_at_once(wire: Wire) -> None:
    wire.reset()


async def becomes(here: Scene, state: ModelState) -> None:
    await eventually(lambda: here.status.state is state)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    "first",
    [
        refusing(429),
        refusing(503),
        refusing(429, "{}", "Retry-After: 0.1"),
        refusing(503, "{}", "Retry-After: Fri, 01 Jan 2027 00:00:00 GMT"),
        reset_at_once,
    ],
)
async def test_what_was_not_begun_is_asked_again(first: Move) -> None:
    async with scene(in_turn(first, works)) as here:
        end = await here.end()

        assert isinstance(end, Completed)
        assert len(here.server.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 400, 401])
async def test_what_may_have_been_begun_or_would_fail_again_is_not(status: int) -> None:
    async with scene(in_turn(refusing(status), works)) as here:
        assert isinstance(await here.end(), Failed)
        assert len(here.server.asked) == 1


async def test_it_is_not_asked_for_ever() -> None:
    async with scene(refusing(503)) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert (end.code, end.interaction.credits_charged) == ("overloaded", 0)
        assert len(here.server.asked) == QUICK.tries


async def test_a_wish_to_be_left_alone_for_long_is_passed_on() -> None:
    async with scene(in_turn(refusing(429, "{}", "Retry-After: 60"), works)) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert "60 s" in end.detail
        assert end.retry_after_s == 60
        assert len(here.server.asked) == 1


async def test_a_model_is_ready_once_it_wrote_a_token() -> None:
    async with bad_server() as server:
        engine = OpenAIEngine(on_server(server.url), timeouts=QUICK)
        assert {status.state for status in engine.status().values()} == {ModelState.LOADING}
        with pytest.raises(ModelUnavailable, match="model_server_not_answered"):
            await engine.prepare(GenerationRequest(model=MINI, turns=(Turn(Role.USER, "Hi"),), max_tokens=2))
        await engine.start()
        states = [status.state for status in engine.status().values()]
        await engine.close()

        assert states == [ModelState.READY] * 2
        assert server.probes == 2
        assert all(status.reason == Description("model_service_stopping") for status in engine.status().values())


async def test_a_server_that_is_not_there_leaves_the_model_unavailable_until_it_is() -> None:
    port = free_port()
    engine = OpenAIEngine(on_server(f"http://127.0.0.1:{port}/v1"), timeouts=QUICK, probe_s=0.1)
    await engine.start()
    away = engine.status()[MINI]
    bad = BadServer()
    server = await asyncio.start_server(bad.serve, "127.0.0.1", port)
    await eventually(lambda: engine.status()[MINI].state is ModelState.READY)
    await engine.close()
    server.close()

    assert away.state is ModelState.UNAVAILABLE
    assert away.reason == Description("model_server_unreachable")


async def test_an_idle_model_is_asked_for_a_token_and_a_busy_one_is_not() -> None:
    async with scene(probe_s=0.2) as here:
        probes = here.server.probes
        for _ in range(8):
            await here.end()
            await asyncio.sleep(0.05)
        busy = here.server.probes - probes
        await asyncio.sleep(0.7)
        idle = here.server.probes - probes - busy

    assert busy == 0
    assert 2 <= idle <= 4


async def test_a_model_that_stops_working_while_nobody_asks_is_noticed() -> None:
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        reason = here.status.reason
        here.server.probed = works
        await becomes(here, ModelState.READY)

    assert reason == BROKEN


async def test_a_server_that_falls_silent_is_noticed_long_before_a_reply_would_be_given_up() -> None:
    timeouts = replace(QUICK, first_token_s=60, trial_s=0.3)
    async with scene(probe_s=0.1, timeouts=timeouts) as here:
        here.server.probed = Wire.left
        await becomes(here, ModelState.UNAVAILABLE)
        reason = here.status.reason

    assert reason == BROKEN


def answering(*events: dict[str, Any] | str) -> Move:
    async def move(wire: Wire) -> None:
        await wire.head()
        for event in (*events, "[DONE]"):
            await wire.event(event)

    return move


TOOL_CALLS = [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    "events",
    [
        [delta(finish_reason="stop")],
        [delta(role="assistant", content=""), delta(finish_reason="length")],
        [{**delta(finish_reason="stop"), "usage": {"prompt_tokens": 8, "completion_tokens": 0}}],
        [delta(tool_calls=TOOL_CALLS), delta(finish_reason="tool_calls")],
    ],
)
async def test_a_model_that_ends_without_a_token_does_not_work(events: list[dict[str, Any]]) -> None:
    async with scene(probed=answering(*events)) as here:
        assert here.status.state is ModelState.UNAVAILABLE
        assert here.status.reason == BROKEN
        here.server.probed = works
        await becomes(here, ModelState.READY)


@pytest.mark.parametrize(
    "events",
    [
        [delta(content="Hi"), delta(finish_reason="length")],
        [delta(reasoning_content="Hm"), delta(finish_reason="length")],
        [{**delta(finish_reason="length"), "usage": {"prompt_tokens": 8, "completion_tokens": 1}}],
        [delta(finish_reason="length"), {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 1}}],
    ],
)
async def test_a_token_proves_a_model_even_if_nobody_sees_it(events: list[dict[str, Any]]) -> None:
    async with scene(probed=answering(*events)) as here:
        assert here.status.state is ModelState.READY


async def test_a_model_that_is_out_says_when_to_come_back() -> None:
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        with pytest.raises(ModelUnavailable) as broken:
            await here.send()
        here.server.probed = refusing(404)
        await eventually(lambda: here.status.reason == NOT_SET_UP)
        with pytest.raises(ModelUnavailable) as unknown:
            await here.send()
        here.server.probed = refusing(429, "{}", "Retry-After: 59.5")
        await eventually(lambda: here.status.reason == Description("model_server_busy"))
        with pytest.raises(ModelUnavailable) as busy:
            await here.send()

    errors = (broken, unknown, busy)
    assert [error.value.retry_after_s for error in errors] == [5, None, 60]


async def test_a_model_that_is_not_offered_has_time_to_be_loaded_by_its_server() -> None:
    async def loads(wire: Wire) -> None:
        await asyncio.sleep(0.6)
        await works(wire)

    async with scene(probe_s=5, timeouts=replace(QUICK, first_token_s=5, trial_s=0.1), probed=loads) as here:
        assert here.status.state is ModelState.READY


async def test_a_model_on_offer_is_healthy_while_it_is_known_to_write_and_no_longer() -> None:
    async with scene(probe_s=0.1, timeouts=replace(QUICK, trial_s=0.2)) as here:
        await asyncio.sleep(0.6)
        watched = here.status
        [remote] = here.engine._models.values()
        assert remote._watching
        remote._watching.cancel()  # whatever it is that keeps it from being asked
        await eventually(lambda: not here.status.healthy)
        forgotten = here.status
        await here.end()
        heard = here.status

    assert (watched.state, watched.healthy) == (ModelState.READY, True)
    assert (forgotten.state, forgotten.available) == (ModelState.READY, True)
    assert heard.healthy


async def test_a_model_that_is_not_offered_is_not_missed() -> None:
    """Other models may answer meanwhile, and it comes back by itself; see docs/decisions/0008."""
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        assert here.status.healthy


async def test_a_model_that_nobody_wants_to_hear_from_is_asked_only_when_it_broke() -> None:
    async with scene(in_turn(refusing(500), works), probe_s=0) as here:
        await asyncio.sleep(0.3)
        idle = here.server.probes
        quiet = here.status
        here.server.probed = refusing(500)
        await here.end()
        await becomes(here, ModelState.UNAVAILABLE)
        here.server.probed = works
        await becomes(here, ModelState.READY)

    assert idle == 1  # at the start
    assert (quiet.state, quiet.healthy) == (ModelState.READY, True)


async def test_failures_of_one_model_take_the_server_out_and_a_probe_puts_it_back() -> None:
    async with bad_server(refusing(500)) as server:
        engine = OpenAIEngine(on_server(server.url), timeouts=QUICK, probe_s=30)
        await engine.start()
        server.probed = Wire.left  # long enough to see what people's requests alone do
        request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "Hi"),), max_tokens=5)
        for _ in range(5):
            generation = await engine.prepare(request)
            with pytest.raises(GenerationFailed):
                await anext(generation.stream())
        with pytest.raises(ModelUnavailable, match="model_server_broken"):
            await engine.prepare(request)
        other = engine.status()[PRO]
        server.probed = works
        await eventually(lambda: all(status.state is ModelState.READY for status in engine.status().values()))
        await engine.close()

    assert len(server.asked) == 5
    assert other.state is ModelState.UNAVAILABLE


async def test_a_model_the_server_forgot_is_put_back_when_it_knows_it_again() -> None:
    async with scene(refusing(404)) as here:
        assert isinstance(await here.end(), Failed)
        assert here.status.state is ModelState.UNAVAILABLE
        await becomes(here, ModelState.READY)


async def test_no_more_requests_than_agreed_are_sent_at_once_and_the_others_wait() -> None:
    most = now = 0
    go = asyncio.Event()

    async def move(wire: Wire) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await go.wait()
        now -= 1
        await works(wire)

    async with scene(move, source={"concurrency": 2}, max_queued=3) as here:
        replies = [await here.send() for _ in range(5)]
        with pytest.raises(Overloaded):
            await here.send()
        wallet = await here.world.use_cases.read_balance(here.alice)
        assert wallet.held == sum(reply.accepted.held for reply in replies)
        await eventually(lambda: now == 2)
        status = here.status
        go.set()
        ends = [await reply.finished() for reply in replies]

    assert (status.running, status.queued) == (2, 3)
    assert all(isinstance(end, Completed) for end in ends)
    assert most == 2


async def test_a_request_says_what_was_asked_for_and_nothing_else() -> None:
    async with bad_server() as server:
        [spec, _] = on_server(server.url)
        spec = replace(
            spec, served_as="org/Model", sampling=Sampling(temperature=0.5, top_p=0.9, repetition_penalty=1.1)
        )
        engine = OpenAIEngine([spec], timeouts=QUICK)
        await engine.start()
        turns = (Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello"), Turn(Role.USER, "And?"))
        asked = GenerationRequest(
            model=MINI, turns=turns, max_tokens=20, temperature=0.0, seed=7, stop=("a", "b", "c", "d", "e")
        )
        for request in (asked, GenerationRequest(model=MINI, turns=turns[-1:], max_tokens=9)):
            _ = [piece async for piece in (await engine.prepare(request)).stream()]
        await engine.close()

    first, second = ({name: value for name, value in body.items() if name != "head"} for body in server.asked)
    assert first == {
        "model": "org/Model",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And?"},
        ],
        "max_tokens": 20,
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["a", "b", "c", "d"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (second["temperature"], "seed" in second, "stop" in second) == (0.5, False, False)


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("stream_options", {"detail": "Unexpected fields in the request: {'stream_options'}"}),
        ("max_tokens", {"error": {"param": "max_tokens", "message": "Use 'max_completion_tokens' instead."}}),
    ],
)
async def test_a_server_of_another_dialect_is_asked_in_it_from_then_on(word: str, error: dict[str, Any]) -> None:
    async def move(wire: Wire) -> None:
        await (wire.refuse(400, json.dumps(error)) if word in wire.body else works(wire))

    async with scene(move, probed=move) as here:
        assert isinstance(await here.end(), Completed)
        assert isinstance(await here.end(), Completed)

        assert here.server.probes >= 1
        assert not any(word in body for body in here.server.asked)


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("words", ["stream_options", "max_completion_tokens", "Mind the SYSTEM PROMPT"])
async def test_a_refusal_that_quotes_a_person_teaches_nothing(status: int, words: str) -> None:
    """Else one message could switch the counting of tokens off for everybody."""

    async def move(wire: Wire) -> None:
        said = " ".join([wire.body["messages"][-1]["content"], *wire.body.get("stop", ())])
        # A server that stumbles now and then, and quotes what it was sent.
        if words in said and len(here.server.asked) % 2:
            await wire.refuse(status, json.dumps({"error": {"message": f"cannot read {said.lower()!r}"}}))
            return
        await works(wire)

    async with scene(move) as here:
        system = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
        for text in (f"What is {words}?", "Hello there"):
            await here.end(text, history=system)
        await here.end("Hello there", stop=(words,))
        await here.end("Hello there", history=system)
        last = here.server.asked[-1]

    assert (last["stream_options"], last["messages"][0]["role"]) == ({"include_usage": True}, "system")
    assert "max_tokens" in last


async def test_words_that_do_not_help_teach_nothing() -> None:
    async def move(wire: Wire) -> None:
        if "odd" in wire.body["messages"][-1]["content"]:
            words = "neither stream_options nor max_completion_tokens, nor a system prompt"
            await wire.refuse(400, json.dumps({"detail": words}))
        else:
            await works(wire)

    async with scene(move) as here:
        history = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
        assert isinstance(await here.end("odd", history=history), Failed)
        refused = len(here.server.asked)
        assert isinstance(await here.end("Hello there", history=history), Completed)
        last = here.server.asked[-1]

    assert 1 < refused <= 4
    assert last["stream_options"] == {"include_usage": True}
    assert (last["max_tokens"], last["messages"][0]["role"]) == (512, "system")


async def test_a_tokenizer_counts_where_the_server_does_not(tmp_path: Path) -> None:
    words = Tokenizer(WordLevel({"hello": 0, "there": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    file = tmp_path / "tokenizer.json"
    words.save(str(file))

    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.say("one two", " three four five")
        await wire.event(delta(finish_reason="stop"))

    async with scene(move, source={"tokenizer": file}) as here:
        reply = await here.send("hello there " * 20, max_tokens=100)
        end = await reply.finished()

    # 40 words, and what a template is likely to put around them.
    assert end.interaction.usage == Usage(prompt_tokens=40 + 4 + 3, completion_tokens=5)
    assert reply.accepted.held == 1 + -(-((40 + 8 + 32) * 100 + 100 * 500) // 1_000)


async def test_a_tokenizer_that_cannot_be_read_leaves_the_model_unavailable(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    async with scene(source={"tokenizer": tmp_path / "tokenizer.json"}) as here:
        assert here.status.state is ModelState.UNAVAILABLE
        assert here.status.reason == NOT_SET_UP


async def test_the_hold_covers_a_prompt_of_the_strangest_text() -> None:
    async with scene() as here:
        text = "\U0001f980" * 300
        reply = await here.send(text, max_tokens=10)
        await reply.finished()

    assert reply.accepted.held >= 1 + (len(text.encode()) * 100 + 10 * 500) // 1_000


async def test_an_engine_that_closes_ends_what_runs_and_what_waits() -> None:
    async def silent(wire: Wire) -> None:
        await wire.left()

    async with scene(silent, source={"concurrency": 1}, timeouts=QUICK.__class__()) as here:
        replies = [await here.send() for _ in range(3)]
        await asyncio.sleep(0.05)
        await here.engine.close()
        ends = [await reply.finished() for reply in replies]
        assert all(isinstance(end, Failed) and "The service is stopping" in end.detail for end in ends)
        await here.check(ends[0])


async def test_models_here_and_on_servers_are_one_engine() -> None:
    async with good_server() as server:
        here, there = ScriptedEngine(CATALOGUE), OpenAIEngine(on_server(server.url)[1:])
        engine: Engine = RoutedEngine({PRO: there, MINI: here}, order=[MINI, PRO])
        await engine.start()
        request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "one two"),), max_tokens=5)
        texts = []
        for model in (MINI, PRO):
            generation = await engine.prepare(replace(request, model=model))
            texts.append("".join([piece.text async for piece in generation.stream()]))
        with pytest.raises(ModelUnavailable):
            await engine.prepare(replace(request, model=ModelId("none")))
        order = list(engine.status())
        await engine.close()

    assert texts == ["one two", "one two"]
    assert [body["model"] for body in server.bodies if body["max_tokens"] > 1] == [PRO]
    assert order == [MINI, PRO]
    assert engine.name == "openai+scripted"
    assert all(status.state is ModelState.UNAVAILABLE for status in engine.status().values())


async def test_one_reply_after_another_takes_one_connection() -> None:
    async with good_server() as server:
        engine = OpenAIEngine(on_server(server.url)[:1])
        await engine.start()
        for _ in range(3):
            request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "one two"),), max_tokens=5)
            generation = await engine.prepare(request)
            assert "".join([piece.text async for piece in generation.stream()]) == "one two"
        await engine.close()

    assert len(server.bodies) == 4  # with the probe at the start
    assert len(server.connections) == 1
