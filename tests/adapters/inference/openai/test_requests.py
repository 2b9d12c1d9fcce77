"""How servers are asked: what a request holds, how many are sent at once, and how tokens are counted."""

from __future__ import annotations

import asyncio
import json
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
from chatbill.application.shared.origin import Origin, coming_from
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ModelUnavailable, Overloaded
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import (
    Connection,
    delta,
    on_server,
    scripted_server,
    working_server,
    works,
)
from tests.adapters.inference.openai.handlers import (
    NOT_SET_UP,
    PRO,
)
from tests.adapters.inference.openai.scene import MINI, QUICK, scene
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually


async def test_the_server_gets_the_request_id_of_the_person() -> None:
    async with scene() as here:
        with coming_from(Origin(request_id="seen-by-alice")):
            reply = await here.send()
        await reply.finished()
        await here.end()
        heads = [body["head"] for body in here.server.asked]
    assert ["x-request-id: seen-by-alice" in head for head in heads] == [True, False]
    assert "x-request-id" not in heads[1]


async def test_no_more_requests_than_the_limit_are_sent_at_once_and_the_others_wait() -> None:
    most = now = 0
    go = asyncio.Event()

    async def handler(connection: Connection) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await go.wait()
        now -= 1
        await works(connection)

    async with scene(handler, source={"concurrency": 2}, max_queued=3) as here:
        replies = [await here.send() for _ in range(5)]
        with pytest.raises(Overloaded):
            await here.send()
        wallet = await here.world.use_cases.billing.read_balance(here.alice)
        assert wallet.held == sum(reply.accepted.held for reply in replies)
        await eventually(lambda: now == 2)
        status = here.status
        go.set()
        ends = [await reply.finished() for reply in replies]

    assert (status.running, status.queued) == (2, 3)
    assert all(isinstance(end, Completed) for end in ends)
    assert most == 2


async def test_a_request_holds_the_given_settings_only() -> None:
    async with scripted_server() as server:
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
            _ = [chunk async for chunk in (await engine.prepare(request)).stream()]
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
async def test_a_deviation_of_a_server_is_learned_once(word: str, error: dict[str, Any]) -> None:
    async def handler(connection: Connection) -> None:
        await (connection.refuse(400, json.dumps(error)) if word in connection.body else works(connection))

    async with scene(handler, probed=handler) as here:
        assert isinstance(await here.end(), Completed)
        assert isinstance(await here.end(), Completed)

        assert here.server.probes >= 1
        assert not any(word in body for body in here.server.asked)


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("words", ["stream_options", "max_completion_tokens", "Mind the SYSTEM PROMPT"])
async def test_no_deviation_is_learned_from_a_refusal_that_quotes_a_user(status: int, words: str) -> None:
    """Otherwise one message could turn off the counting of tokens for all users."""

    async def handler(connection: Connection) -> None:
        said = " ".join([connection.body["messages"][-1]["content"], *connection.body.get("stop", ())])
        # A server that stumbles now and then, and quotes what it was sent.
        if words in said and len(here.server.asked) % 2:
            await connection.refuse(status, json.dumps({"error": {"message": f"cannot read {said.lower()!r}"}}))
            return
        await works(connection)

    async with scene(handler) as here:
        system = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
        for text in (f"What is {words}?", "Hello there"):
            await here.end(text, history=system)
        await here.end("Hello there", stop=(words,))
        await here.end("Hello there", history=system)
        last = here.server.asked[-1]

    assert (last["stream_options"], last["messages"][0]["role"]) == ({"include_usage": True}, "system")
    assert "max_tokens" in last


async def test_no_deviation_is_learned_that_does_not_help() -> None:
    async def handler(connection: Connection) -> None:
        if "odd" in connection.body["messages"][-1]["content"]:
            words = "neither stream_options nor max_completion_tokens, nor a system prompt"
            await connection.refuse(400, json.dumps({"detail": words}))
        else:
            await works(connection)

    async with scene(handler) as here:
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

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say("one two", " three four five")
        await connection.event(delta(finish_reason="stop"))

    async with scene(handler, source={"tokenizer": file}) as here:
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


async def test_the_hold_covers_a_prompt_of_unusual_text() -> None:
    async with scene() as here:
        text = "\U0001f980" * 300
        reply = await here.send(text, max_tokens=10)
        await reply.finished()

    assert reply.accepted.held >= 1 + (len(text.encode()) * 100 + 10 * 500) // 1_000


async def test_closing_the_engine_ends_running_and_waiting_replies() -> None:
    async def silent(connection: Connection) -> None:
        await connection.left()

    async with scene(silent, source={"concurrency": 1}, timeouts=QUICK.__class__()) as here:
        replies = [await here.send() for _ in range(3)]
        await asyncio.sleep(0.05)
        await here.engine.close()
        ends = [await reply.finished() for reply in replies]
        assert all(isinstance(end, Failed) and "The service is stopping" in render(end.description) for end in ends)
        await here.check(ends[0])


async def test_local_and_remote_models_are_combined_in_one_engine() -> None:
    async with working_server() as server:
        here, there = ScriptedEngine(CATALOGUE), OpenAIEngine(on_server(server.url)[1:])
        engine: Engine = RoutedEngine({PRO: there, MINI: here}, order=[MINI, PRO])
        await engine.start()
        request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "one two"),), max_tokens=5)
        texts = []
        for model in (MINI, PRO):
            generation = await engine.prepare(replace(request, model=model))
            texts.append("".join([chunk.text async for chunk in generation.stream()]))
        with pytest.raises(ModelUnavailable):
            await engine.prepare(replace(request, model=ModelId("none")))
        order = list(engine.status())
        await engine.close()

    assert texts == ["one two", "one two"]
    assert [body["model"] for body in server.bodies if body["max_tokens"] > 1] == [PRO]
    assert order == [MINI, PRO]
    assert engine.name == "openai+scripted"
    assert all(status.state is ModelState.UNAVAILABLE for status in engine.status().values())
