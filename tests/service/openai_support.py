"""OpenAI's client and API keys for tests of a running service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from openai import AsyncOpenAI

from tests.service.process import Service

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]


def saying(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def new_key(service: Service, name: str, **terms: Any) -> str:
    """Register a user, and return an API key."""
    async with service.client(await service.person(name)) as client:
        made = await client.post("/auth/api-keys", json={"name": "test"} | terms)
        return str(made.raise_for_status().json()["key"])


async def balance(service: Service, key: str) -> dict[str, int]:
    async with service.client(key) as client:
        found: dict[str, int] = (await client.get("/billing/balance")).raise_for_status().json()
        return found


async def settled(service: Service, key: str) -> int:
    """Wait until no credits are held, and return the balance."""
    async with asyncio.timeout(10):
        while (now := await balance(service, key))["held"]:  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)
    return now["balance"]


@contextlib.asynccontextmanager
async def client_for(service: Service, key: str, *, url: str = "", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=key, base_url=f"{url or service.url}/v1", **options) as client:
        yield client
