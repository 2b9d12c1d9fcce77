"""Many requests of one person do not keep the others from the model."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

import httpx
import pytest

from chatbill.adapters.inference.scripted import ScriptedEngine
from tests.kit.http import Api, say, served, stream
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually

REPLY = "[[tokens:5]] [[pause:0.02]]"
ALICE_SENDS = 150


async def send_and_count(client: httpx.AsyncClient, text: str, ended: list[httpx.Response]) -> None:
    ended.append(await client.post("/chat/message", json=say(text)))


def engine() -> ScriptedEngine:
    return ScriptedEngine(CATALOGUE, slots=1, max_queued=100, share_percent=25)


async def flood(
    service: Api, client: httpx.AsyncClient, ended: list[httpx.Response], text: str = REPLY
) -> list[asyncio.Task[None]]:
    """Send all at once, and return when the model has as many as it takes from one person."""
    client.timeout = httpx.Timeout(60)
    sent = [asyncio.create_task(send_and_count(client, text, ended)) for _ in range(ALICE_SENDS)]
    await eventually(lambda: sum(answer.status_code == 429 for answer in ended) > ALICE_SENDS // 2, within_s=60)
    assert len(service.world.use_cases.chat.replies) > 10
    return sent


@pytest.mark.timeout(120)
async def test_a_second_person_waits_for_no_more_than_two_replies_of_the_first() -> None:
    async with served(engine=engine(), welcome_credits=1_000, deadline_s=100) as service:
        alice, bob = await service.person(), await service.person("bob")
        ended: list[httpx.Response] = []
        sent = await flood(service, alice, ended)

        before = sum(answer.status_code == 200 for answer in ended)
        async with stream(bob, say(REPLY)) as events, aclosing(events):  # type: ignore[type-var]
            async for name, _ in events:
                if name == "delta":
                    break
            waited_for = sum(answer.status_code == 200 for answer in ended) - before
        await asyncio.gather(*sent)
        await service.settled()

    assert waited_for <= 2
    answers = Counter((answer.status_code, answer.json().get("code")) for answer in ended)
    assert set(answers) == {(200, None), (429, "rate_limited")}
    refused = next(answer for answer in ended if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "have a place at this model" in refused.json()["detail"]


async def test_a_person_has_one_share_by_token_and_by_key() -> None:
    async with served(engine=engine(), welcome_credits=1_000, deadline_s=100) as service:
        alice = await service.person()
        key = (await alice.post("/auth/api-keys", json={"name": "program"})).json()["key"]
        program = service.client(headers={"Authorization": f"Bearer {key}"}, timeout=60)
        ended: list[httpx.Response] = []
        sent = await flood(service, alice, ended, "[[sleep:60]]")

        chat = await program.post("/chat/message", json=say("hello"))
        body = {"model": "demo-mini", "messages": [{"role": "user", "content": "hello"}]}
        openai = await program.post("/v1/chat/completions", json=body)
        for task in sent:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)
        await service.settled()

    assert (chat.status_code, chat.json()["code"]) == (429, "rate_limited")
    assert (openai.status_code, openai.json()["error"]["code"]) == (429, "rate_limited")
