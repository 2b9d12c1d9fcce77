"""A store in which two users have credits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.ports.store import Store
from tests.kit.rows import add_person
from tests.kit.stores import EVERY_STORE, STORES


@pytest_asyncio.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which Alice has 100 credits and a conversation, and Bob likewise."""
    opened = STORES[request.param](tmp_path)
    await opened.write(add_person)
    await opened.write(lambda tx: add_person(tx, "bob"))
    yield opened
    await opened.close()
