"""Connections of the PostgreSQL store: lost, refused, and opened again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any, cast

import pytest
from sqlalchemy import make_url

from chatbill.adapters.persistence import PostgresStore, open_probe_store, open_store
from chatbill.adapters.persistence.postgres.driver import Timeouts
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.ids import ConversationId
from tests.kit.held import held, hold_one
from tests.kit.postgres import shared, start, stop
from tests.kit.postgres_proxy import Proxy
from tests.kit.rows import PURSE, add_person, add_running, conversation

pytestmark = pytest.mark.postgres


async def on_a_line(line: Proxy, url: str) -> PostgresStore:
    store = PostgresStore(make_url(line.url(url)), writers=1, readers=1)
    await store.write(add_person)
    return store


@pytest.mark.parametrize("word", ["BEGIN", "FOR NO KEY UPDATE"])
@pytest.mark.parametrize("heard", [True, False])
async def test_work_runs_again_after_a_connection_lost_before_the_commit(
    url: str, line: Proxy, word: str, heard: bool
) -> None:
    store = await on_a_line(line, url)
    line.cut(word, heard=heard)
    await store.write(add_running)
    assert line.cuts == 1
    assert await held(store) == 5
    await store.close()


async def test_a_connection_that_the_server_closed_while_idle_costs_no_transaction(url: str) -> None:
    """The first that is sent on it may be everything, with COMMIT: then the outcome would be unknown."""
    store = PostgresStore(make_url(url), writers=1, readers=1)
    await store.write(add_person)
    closed = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'chatbill'"
    shared().run(f"{closed} AND datname = '{make_url(url).database}'")
    await store.write(lambda tx: tx.conversations.add(conversation("blind")))
    assert await store.read(lambda snapshot: snapshot.conversations.get(ConversationId("blind")))
    await store.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_a_connection_lost_at_the_commit_is_reported_and_all_or_nothing_is_kept(
    url: str, line: Proxy, kept: bool
) -> None:
    store = await on_a_line(line, url)
    line.cut("COMMIT\0", heard=kept)  # READ COMMITTED ends in another way
    with pytest.raises(StoreUnavailable, match="connection_lost"):
        await store.write(hold_one)
    assert line.cuts == 1
    deadline = time.monotonic() + 5
    while await held(store) != kept:  # the server may hear of it a moment later
        assert time.monotonic() < deadline
    assert await store.write(hold_one) == kept + 1
    await store.close()


async def test_callers_wait_a_bounded_time_for_a_stopped_server(url: str) -> None:
    timeouts = Timeouts(answer_within_s=3)
    store = PostgresStore(make_url(url), writers=1, readers=1, queue_timeout_s=0.4, timeouts=timeouts)
    await store.write(add_person)
    backend = await store.write(lambda tx: cast("Any", tx).wallets._connection.raw.info.backend_pid)
    os.kill(backend, signal.SIGSTOP)
    try:
        began, behind = asyncio.create_task(store.write(hold_one)), asyncio.create_task(store.write(hold_one))
        done, _ = await asyncio.wait({began, behind}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {behind}, "a job that has not begun is refused in its time"
        with pytest.raises(StoreUnavailable, match="waited too long for its turn"):
            await behind
        with pytest.raises(StoreUnavailable, match="connection_lost"):
            await asyncio.wait_for(began, 20)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert await store.write(hold_one) == 1
    await store.close()


async def test_a_worker_without_a_connection_leaves_the_jobs_to_the_others(url: str) -> None:
    name = make_url(url).database
    shared().run(f"CREATE ROLE few_{name} LOGIN CONNECTION LIMIT 3 IN ROLE postgres")
    few = make_url(url).set(username=f"few_{name}")
    store = PostgresStore(few, writers=8, readers=4)
    await store.write(add_person)
    await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    await asyncio.gather(*(store.write(hold_one) for _ in range(60)))
    assert await held(store) == 60
    await store.close()


async def test_a_database_that_refuses_is_not_called_unreachable(url: str) -> None:
    store = PostgresStore(make_url(url).set(database="none_of_that_name"), writers=1)
    with pytest.raises(StoreUnavailable, match="connection_refused"):
        await store.write(add_person)
    await store.close()


async def test_a_snapshot_survives_a_connection_that_was_lost(url: str, line: Proxy) -> None:
    store = await on_a_line(line, url)
    assert await held(store) == 0
    line.cut("BEGIN", heard=False)
    assert await held(store) == 0
    assert line.cuts == 1
    await store.close()


@pytest.mark.slow
async def test_the_store_reconnects_to_a_restarted_server(caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

    schema.upgrade(server.url())
    store = open_store(server.url().replace("postgres:@", "postgres:s3cret@"))
    await store.write(add_person)
    await held(store)
    server.kill()
    with caplog.at_level(logging.DEBUG, "chatbill"):
        for attempt in (store.write(hold_one), held(store)):
            with pytest.raises(StoreUnavailable, match="server_unreachable") as caught:
                await asyncio.wait_for(attempt, 5)
            assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "s3cret" not in caplog.text
    server.restart()
    assert await store.write(hold_one) == 1
    assert await held(store) == 1
    await store.close()
    stop(server)


async def test_an_unreachable_server_is_reported_without_the_password() -> None:
    store = open_store("postgresql://alice:s3cret@127.0.0.1:1/chatbill")
    with pytest.raises(StoreUnavailable, match="server_unreachable") as caught:
        await store.write(hold_one)
    assert "s3cret" not in str(caught.value)
    await store.close()


@pytest.mark.parametrize(
    "address", ["postgresql://alice:s3@cret@host/x", "postgresql://alice@host:s3cret/x", "postgresql:s3cret"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(address: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        open_store(address)
    assert "cret" not in f"{caught.value}"


@pytest.mark.parametrize("call", ["open_store(URL)", "schema.upgrade(URL)"])
def test_a_missing_driver_is_reported_with_what_to_install(call: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from chatbill.adapters.persistence import open_store\n"
        "from chatbill.adapters.persistence.sql import schema\n"
        "from chatbill.application.ports.store import StoreUnavailable\n"
        "URL = 'postgresql://localhost/x'\n"
        f"try: {call}\n"
        "except StoreUnavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "PostgreSQL needs one more package: pip install 'chatbill[postgres]'", done.stderr


async def test_probes_use_other_connections_where_the_server_accepts_no_more(url: str) -> None:
    name = make_url(url).database
    shared().run(f"CREATE ROLE one_{name} LOGIN CONNECTION LIMIT 2 IN ROLE postgres")
    few = make_url(url).set(username=f"one_{name}")
    store = PostgresStore(few, writers=1, readers=1)
    await store.write(add_person)
    await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    probes = open_probe_store(few.render_as_string(hide_password=False), store)
    assert probes is not None
    await probes.write(hold_one)
    assert await held(probes) == 1
    await probes.close()
    assert await held(store) == 1
    await store.close()
