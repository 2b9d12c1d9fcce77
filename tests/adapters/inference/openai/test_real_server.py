"""An independent server in a process of its own: `transformers serve` with the demo model."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.application.chat.events import Completed, Delta, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.ids import ModelId
from tests.adapters.inference.openai.fake_servers import on_server
from tests.kit.models import demo_model_folder
from tests.kit.support import CATALOGUE, world

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(300)]

MINI = ModelId("demo-mini")
FRANCE = "What is the capital of France? Answer in one sentence."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = demo_model_folder()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", str(folder), "--device", "cpu", "--dtype", "float32", "--port", str(port)]
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as out:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"http://localhost:{port}/health", timeout=1).is_success:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"http://localhost:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def engine(server: str) -> OpenAIEngine:
    folder = demo_model_folder()
    [spec, _] = on_server(server, tokenizer=folder / "tokenizer.json")
    return OpenAIEngine([replace(spec, served_as=str(folder))])


def answered_whole(server: str) -> dict[str, Any]:
    """The same question without streaming, asked by hand."""
    body = {
        "model": str(demo_model_folder()),
        "messages": [{"role": "user", "content": FRANCE}],
        "max_tokens": 30,
        "temperature": 0,
    }
    answer: dict[str, Any] = httpx.post(f"{server}/chat/completions", json=body, timeout=60).raise_for_status().json()
    return answer


async def test_a_reply_and_its_counts_are_the_servers_own(server: str, engine: OpenAIEngine) -> None:
    whole = await asyncio.to_thread(answered_whole, server)
    here = world(engine=engine, catalogue=CATALOGUE, deadline_s=60)
    await engine.start()
    alice = await here.person()
    reply = await here.use_cases.chat.send_message(
        alice, Message(model=MINI, text=FRANCE, max_tokens=30, temperature=0)
    )
    events = [event async for event in reply]
    await engine.close()

    end = events[-1]
    assert isinstance(end, Completed)
    assert end.interaction.reply == whole["choices"][0]["message"]["content"]
    assert "Paris" in end.interaction.reply
    assert end.interaction.usage.prompt_tokens == whole["usage"]["prompt_tokens"]
    assert end.interaction.usage.completion_tokens == whole["usage"]["completion_tokens"]
    assert len(events) > 5


async def test_a_stop_reaches_the_server(engine: OpenAIEngine) -> None:
    here = world(engine=engine, catalogue=CATALOGUE, deadline_s=60)
    await engine.start()
    alice = await here.person()
    message = Message(model=MINI, text="Tell me a very long story.", max_tokens=400, temperature=0)
    reply = await here.use_cases.chat.send_message(alice, message)
    assert isinstance(reply, Reply)
    async for event in reply:
        if isinstance(event, Delta):
            reply.stop()
    end = await reply.finished()
    # It writes one reply at a time, so this one begins at once only if the first has ended.
    begun = time.monotonic()
    quick = await here.use_cases.chat.send_message(alice, Message(model=MINI, text="Hi", max_tokens=2, temperature=0))
    assert isinstance(quick, Reply)
    answered = await quick.finished()
    waited_s = time.monotonic() - begun
    state = engine.status()[MINI].state
    await engine.close()

    assert isinstance(end, Stopped)
    assert 1 <= end.interaction.usage.completion_tokens < 50
    assert isinstance(answered, Completed)
    # 400 tokens take it longer than twenty seconds.
    assert waited_s < 10
    assert state is ModelState.READY
