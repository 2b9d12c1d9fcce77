"""The head and the body of an answer go to the system together, and nothing is kept back for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chatbill.entrypoints.web.joined_writes import JoinedWrites


class RecordedTransport:
    """Records the calls of the system that a transport would make."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def writelines(self, parts: Sequence[bytes]) -> None:
        self.sent.append(b"".join(parts))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_two_parts_are_sent_together_and_at_once() -> None:
    transport = RecordedTransport()
    writes = JoinedWrites(transport, asyncio.get_running_loop())
    writes.write(b"head ")
    assert transport.sent == []
    writes.write(b"body")
    assert transport.sent == [b"head body"]


async def test_a_part_alone_is_sent_at_the_end_of_the_turn() -> None:
    transport = RecordedTransport()
    writes = JoinedWrites(transport, asyncio.get_running_loop())
    for part in (b"one", b"two", b"three"):
        writes.write(part)
    await asyncio.sleep(0)
    assert transport.sent == [b"onetwo", b"three"]
    await asyncio.sleep(0)
    assert transport.sent == [b"onetwo", b"three"]


async def test_what_is_kept_is_sent_before_the_connection_is_closed() -> None:
    transport = RecordedTransport()
    writes = JoinedWrites(transport, asyncio.get_running_loop())
    writes.write(b"refused")
    writes.close()
    assert (transport.sent, transport.closed) == ([b"refused"], True)


async def test_nothing_is_sent_on_a_connection_that_was_closed_meanwhile() -> None:
    transport = RecordedTransport()
    writes = JoinedWrites(transport, asyncio.get_running_loop())
    writes.write(b"late")
    transport.close()
    await asyncio.sleep(0)
    assert transport.sent == []
