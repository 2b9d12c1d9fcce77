"""Each kind of store, new and empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.ports.store import Store
from tests.kit.stores import STORES


@pytest_asyncio.fixture(params=("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store of each kind, closed at the end."""
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()
