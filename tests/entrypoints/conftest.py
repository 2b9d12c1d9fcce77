"""The API over in-memory adapters and the scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.kit.http import Api, api


@pytest.fixture
async def service() -> AsyncIterator[Api]:
    """Return the API with the default configuration."""
    async with api() as running:
        yield running


@pytest.fixture
async def alice(service: Api) -> httpx.AsyncClient:
    """Return a client of a user with 100 credits."""
    return await service.person("alice")


@pytest.fixture
async def bob(service: Api) -> httpx.AsyncClient:
    """Return a client of another user."""
    return await service.person("bob")
