"""A PostgreSQL store with short timeouts, and a connection that a test can cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from chatbill.adapters.persistence import PostgresStore
from chatbill.adapters.persistence.postgres.driver import Timeouts
from tests.kit.postgres import shared
from tests.kit.postgres_proxy import Proxy, line_to
from tests.kit.rows import add_person


@pytest.fixture
def url() -> str:
    return shared().fresh()


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A store with short timeouts, in which Alice and Bob have 100 credits each."""
    timeouts = Timeouts(statement_timeout_s=2, lock_timeout_s=0.3, idle_in_transaction_timeout_s=1)
    opened = PostgresStore(make_url(url), writers=3, readers=2, queue_size=50, queue_timeout_s=0.5, timeouts=timeouts)
    await opened.write(add_person)
    await opened.write(lambda tx: add_person(tx, "bob"))
    yield opened
    await opened.close()


@pytest.fixture
def line() -> Iterator[Proxy]:
    with line_to(shared()) as proxy:
        yield proxy
