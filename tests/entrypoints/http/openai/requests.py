"""Requests to `/v1` and readers of its streams, for tests."""

from __future__ import annotations

import json
from typing import Any

import httpx

SYSTEM = {"role": "system", "content": "Be brief."}
HELLO = {"role": "user", "content": "Hello there"}


def completion(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "demo-mini", "messages": list(messages) or [HELLO]} | fields


async def ask(client: httpx.AsyncClient, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=completion(*messages, **fields))


def chunks(text: str) -> list[Any]:
    """Return the data of the events of a stream: JSON, and `[DONE]` at the end."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]
