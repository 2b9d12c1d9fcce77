"""A program that embeds the use cases and sends messages until it is killed: `python talkers.py DATABASE`.

It prints each completed reply and its cost on a line of its own.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from secrets import token_hex

from chatbill.adapters.persistence import SqliteStore
from chatbill.adapters.system import Uuid7Ids
from chatbill.application.chat.events import Completed
from chatbill.application.chat.messages import Message
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.shared.principal import Principal
from tests.kit.support import MINI, world

TALKERS = 8


async def talk(send: SendMessage, principal: Principal) -> None:
    """Send the messages of one person in one window, each as soon as the last one is answered."""
    window = token_hex(8)
    for number in count():
        message = Message(model=MINI, text="one two three", idempotency_key=f"{window}-{number}")
        end = await (await send(principal, message)).finished()
        assert isinstance(end, Completed)
        print(end.interaction.id, end.interaction.credits_charged, flush=True)  # noqa: T201 - it tells its parent


async def main(path: Path) -> None:
    store = SqliteStore(path)
    user = await store.read(lambda snapshot: snapshot.users.by_login("alice"))
    assert user is not None
    principal = Principal.of(user)
    # Ids that no earlier process made; the clock of the world stands still, which the sweep relies on.
    send = replace(world(store=store).use_cases.chat.send_message, new_id=Uuid7Ids())
    await asyncio.gather(*(talk(send, principal) for _ in range(TALKERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
