"""A whole API over in-memory adapters and the scripted engine, called in this loop or over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.entrypoints.http.support import Api, api


@pytest.fixture
async def service() -> AsyncIterator[Api]:
    """The API with everything at its default."""
    async with api() as running:
        yield running


@pytest.fixture
async def alice(service: Api) -> httpx.AsyncClient:
    """A client who is signed in and owns 100 credits."""
    return await service.person("alice")


@pytest.fixture
async def bob(service: Api) -> httpx.AsyncClient:
    """Somebody else."""
    return await service.person("bob")
