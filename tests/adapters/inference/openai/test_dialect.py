"""Servers that refuse settings: a default is sent no more, and a setting of the user's is an error of its field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.application.chat.events import Completed, Failed
from chatbill.application.ports.engine import ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.entrypoints.web.problems import problem_of_reply
from tests.adapters.inference.openai.fake_servers import Connection, Handler, works
from tests.adapters.inference.openai.scene import scene

SAMPLING = Sampling(temperature=0.7, top_p=0.9)


def of_openai(field: str) -> dict[str, Any]:
    words = (
        f"Unsupported value: '{field}' does not support 0.7 with this model. Only the default (1) value is supported."
    )
    return {"error": {"message": words, "param": field, "code": "unsupported_value", "type": "invalid_request_error"}}


def of_fastapi(field: str) -> dict[str, Any]:
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}]}


def of_gemini(field: str) -> dict[str, Any]:
    return {
        "error": {"code": 400, "message": f'Invalid JSON payload received. Unknown name "{field}": Cannot find field.'}
    }


def of_openrouter(field: str) -> dict[str, Any]:
    return {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps(of_openai(field))}}}


def refusing(*fields: str, shape: Any = of_openai, status: int = 400) -> Handler:
    """Return a handler that refuses requests with any of these fields."""

    async def handler(connection: Connection) -> None:
        refused = next((field for field in fields if field in connection.body), None)
        if refused:
            await connection.refuse(status, json.dumps(shape(refused)))
        else:
            await works(connection)

    return handler


@pytest.mark.parametrize("shape", [of_openai, of_fastapi, of_gemini, of_openrouter])
@pytest.mark.parametrize("fields", [("temperature",), ("top_p",), ("temperature", "top_p")])
async def test_a_default_that_a_server_refuses_is_sent_no_more(fields: tuple[str, ...], shape: Any) -> None:
    handler = refusing(*fields, shape=shape)
    async with scene(handler, probed=handler, sampling=SAMPLING) as here:
        assert here.status.state is ModelState.READY
        ends = [await here.end() for _ in range(7)]
        bodies = here.server.asked

    assert all(isinstance(end, Completed) for end in ends)
    assert len(bodies) == 7, "the probe had taught it"
    assert not any(field in body for body in bodies for field in fields)
    assert all(("top_p" in body) == ("top_p" not in fields) for body in bodies)


@pytest.mark.parametrize("shape", [of_openai, of_fastapi, of_gemini, of_openrouter])
@pytest.mark.parametrize(("field", "value"), [("temperature", 0.3), ("top_p", 0.5), ("seed", 7)])
async def test_a_setting_of_the_user_that_a_server_refuses_is_an_error_of_its_field(
    field: str, value: Any, shape: Any
) -> None:
    handler = refusing(field, shape=shape)
    async with scene(handler, probed=handler, sampling=SAMPLING) as here:
        for _ in range(7):
            end = await here.end(**{field: value})
            assert isinstance(end, Failed)
            problem = problem_of_reply(end)
            assert (problem.code, end.interaction.credits_charged) == ("invalid_request", 0)
            assert [fault["field"] for fault in problem.members["errors"]] == [field]
            assert "leave it out" in problem.detail
        assert isinstance(await here.end(), Completed)
        assert here.status.state is ModelState.READY


async def test_a_value_of_the_user_that_a_server_accepts_is_sent_where_the_default_is_not() -> None:
    async def only_one(connection: Connection) -> None:
        if connection.body.get("temperature", 1) != 1:
            await connection.refuse(400, json.dumps(of_openai("temperature")))
        else:
            await works(connection)

    async with scene(only_one, probed=only_one, sampling=SAMPLING) as here:
        assert isinstance(await here.end(), Completed)
        assert isinstance(await here.end(temperature=1), Completed)
        assert isinstance(await here.end(temperature=0.2), Failed)

    assert [body.get("temperature") for body in here.server.asked] == [None, 1, 0.2]


async def test_stop_strings_that_a_server_refuses_are_found_here() -> None:
    async def handler(connection: Connection) -> None:
        if "stop" in connection.body:
            await connection.refuse(400, json.dumps(of_openai("stop")))
            return
        await connection.head()
        await connection.say("one", " two", " three")
        await connection.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(handler) as here:
        ends = [await here.end(stop=(" three",)) for _ in range(2)]

    assert [end.interaction.reply for end in ends] == ["one two"] * 2
    assert ["stop" in body for body in here.server.asked] == [True, False, False]


async def test_a_server_that_refuses_to_stream_is_asked_for_whole_replies() -> None:
    async def handler(connection: Connection) -> None:
        if connection.body["stream"]:
            await connection.refuse(400, '{"error": {"message": "Streaming is not supported for this model."}}')
            return
        message = {"role": "assistant", "content": "one two three"}
        await connection.refuse(200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}))

    async with scene(handler, probed=handler) as here:
        ends = [await here.end() for _ in range(2)]

    assert [end.interaction.reply for end in ends] == ["one two three"] * 2
    assert [(body["stream"], "stream_options" in body) for body in here.server.asked] == [(False, False)] * 2


@pytest.mark.parametrize("words", ["temperature", "top_p", "seed"])
async def test_a_refusal_that_quotes_a_user_blames_no_setting(words: str) -> None:
    async def handler(connection: Connection) -> None:
        said = connection.body["messages"][-1]["content"]
        if words in said:
            await connection.refuse(400, json.dumps({"error": {"message": f"cannot read {said!r}"}}))
        else:
            await works(connection)

    async with scene(handler, sampling=SAMPLING) as here:
        end = await here.end(f"Which {words} is best?", temperature=0.5, seed=1, top_p=0.5)
        assert isinstance(end, Failed)
        assert end.code == "generation_failed"
        assert isinstance(await here.end(f"Which {words} is best?"), Failed)
        await here.end()

    assert (here.server.asked[-1]["temperature"], here.server.asked[-1]["top_p"]) == (0.7, 0.9)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"error": {"code": "content_filter", "message": "The response was filtered.", "type": None}}),
        (400, {"error": {"code": "content_policy_violation", "message": "Your request was rejected."}}),
        (
            400,
            {"error": {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}},
        ),
    ],
)
async def test_a_message_that_a_content_filter_refuses_ends_so_and_is_free(status: int, error: dict[str, Any]) -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, json.dumps(error))

    async with scene(handler) as here:
        end = await here.end()
        assert here.status.state is ModelState.READY

    assert (end.interaction.outcome, end.interaction.error_code) == ("stopped", "content_filter")
    assert (end.interaction.reply, end.interaction.credits_charged) == ("", 0)


@pytest.mark.parametrize("quoted", ["'max_tokens' or 'max_completion_tokens' is too large: 512. ", ""])
async def test_a_refusal_for_the_window_teaches_nothing_else(quoted: str) -> None:
    words = f"{quoted}This model's maximum context length is 2048 tokens and your request has 1900 input tokens."

    async def handler(connection: Connection) -> None:
        await connection.refuse(400, json.dumps({"error": {"message": words}}))

    async with scene(handler) as here:
        end = await here.end()

    assert isinstance(end, Failed)
    assert end.code == "context_length_exceeded"
    assert len(here.server.asked) == 1


async def test_the_settings_of_a_model_are_sent_as_the_catalogue_says() -> None:
    async with scene(sampling=replace(SAMPLING, top_p=None)) as here:
        await here.end("Hi", history=(Turn(Role.SYSTEM, "Be brief."),))

    assert here.server.asked[0]["temperature"] == 0.7
    assert "top_p" not in here.server.asked[0]
