"""LangChain and LiteLLM, unmodified, against a running service: `nox -s clients` gives them an environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.process import Service

PYTHON = os.environ.get("CHATBILL_TEST_CLIENTS")
FOLDER = Path(__file__).parent

MODELS = [("demo-mini", "mini", 1, 2_048), ("demo-pro", "pro", 3, 32_768)]
MODEL = """
[[models]]
id = "{0}"
name = "{0}"
tier = "{1}"
price = {{ per_reply = {2} }}
context_tokens = {3}
max_reply_tokens = 512
source = {{ kind = "folder", folder = "{0}" }}
"""

pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="these clients have an environment of their own: nox -s clients"),
    pytest.mark.slow,
]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Return a running service whose larger model has a larger window."""
    catalogue = tmp_path / "models.toml"
    catalogue.write_text("".join(MODEL.format(*model) for model in MODELS), encoding="utf-8")
    running = Service(tmp_path / "data", {"CHATBILL_MODELS": str(catalogue)}).start()
    yield running
    if running.url:
        running.kill()


async def said_by(program: str, service: Service) -> tuple[dict[str, Any], int]:
    """What a client got with a new key, and what is left of 100 credits."""
    async with service.client(await service.person()) as alice:
        key = (await alice.post("/auth/api-keys", json={"name": "client"})).raise_for_status().json()["key"]
        variables = {"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [str(PYTHON), str(FOLDER / program), service.url, key]
        done = subprocess.run(  # noqa: ASYNC221 - nothing else is going on
            command, env=variables, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr
        balance: httpx.Response = await alice.get("/billing/balance")
        assert balance.json()["held"] == 0
        service.verify()
        return json.loads(done.stdout.splitlines()[-1]), balance.json()["balance"]


@pytest.mark.timeout(150)
async def test_langchain(service: Service) -> None:
    found, balance = await said_by("langchain_client.py", service)
    assert found == {
        "whole": ["one two three", "stop", 12],
        "streamed": ["one two three", 3],
        "awaited": "four",
        "batch": ["a", "b", "c"],
        "key": "AuthenticationError",
        "model": "NotFoundError",
        "context": "OpenAIContextOverflowError",
        "streamed_context": "OpenAIContextOverflowError",
        "fallback": "one two three",
        "failure": "The model could not finish this reply; nothing was charged. Try again.",
    }
    assert balance == 91


@pytest.mark.timeout(150)
async def test_litellm(service: Service) -> None:
    found, balance = await said_by("litellm_client.py", service)
    assert found == {
        "whole": ["one two three", "stop", 8],
        "charged": 1,
        "streamed": ["one two three", 3],
        "awaited": ["one two", "length"],
        "key": "AuthenticationError",
        "model": "NotFoundError",
        "n": "BadRequestError",
        "context": "ContextWindowExceededError",
        "streamed_context": "ContextWindowExceededError",
        "long_message": "ContextWindowExceededError",
        "fallback": ["demo-pro", "one two three"],
        # LiteLLM's own name for a stream that broke after its first piece.
        "failure": "MidStreamFallbackError",
    }
    assert balance == 94
