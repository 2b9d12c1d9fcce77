"""Signals while the server goes and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from chatbill.adapters.valkey.signals import ValkeySignals
from tests.kit.valkey import Server, connected, start
from tests.kit.waiting import eventually


@pytest.fixture
def server() -> Iterator[Server]:
    server = start()
    yield server
    server.kill()


async def test_two_processes_reach_each_other(server: Server) -> None:
    async with connected(server) as one, connected(server) as two:
        here, there = ValkeySignals(one), ValkeySignals(two)
        async with there.listen("words") as inbox:
            await eventually(lambda: _arrives(here))
            assert await inbox.next(timeout_s=10) == "hello"
        await here.close()
        await there.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_listening_goes_on_after_the_server_was_away(server: Server, how: str) -> None:
    async with connected(server, timeout_s=0.5, retry_s=0.05) as connection:
        signals = ValkeySignals(connection, quiet_s=0.3)
        async with signals.listen("words") as inbox:
            await eventually(lambda: _arrives(signals))
            if how == "killed":
                server.kill()
            else:
                server.freeze()
            assert await signals.send("words", "lost") == 0
            assert await signals.is_up() is False
            await asyncio.sleep(1)
            if how == "killed":
                server.start()
            else:
                server.thaw()
            await eventually(lambda: _arrives(signals), within_s=20)
            while await inbox.next(timeout_s=0.2):
                pass
            assert await signals.send("words", "again") == 1
            assert await inbox.next(timeout_s=10) == "again"
        await signals.close()


async def test_to_listen_while_the_server_is_away_fails_nothing(server: Server) -> None:
    server.kill()
    async with connected(server, timeout_s=0.5, retry_s=0.05) as connection:
        signals = ValkeySignals(connection)
        async with signals.listen("words") as inbox:
            assert await inbox.next(timeout_s=0.05) is None
            server.start()
            await eventually(lambda: _arrives(signals), within_s=20)
            assert await inbox.next(timeout_s=10) == "hello"
        await signals.close()


async def _arrives(signals: ValkeySignals) -> bool:
    return await signals.send("words", "hello") > 0
