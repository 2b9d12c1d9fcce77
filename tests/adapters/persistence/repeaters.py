"""A program that asks for one thing many times at once, with one key: `python repeaters.py DATABASE_URL KEY TIMES`.

It prints each answer on a line of its own.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from chatbill.adapters.persistence import open_store
from chatbill.adapters.system import Uuid7Ids
from chatbill.application.assembly import assemble
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import RequestInProgress
from tests.kit.support import MINI, world


async def ask_and_pay(store: Store, key: str, times: int) -> list[str]:
    """Ask and pay as Alice `times` times at once; return the answers."""
    user = await store.read(lambda snapshot: snapshot.users.by_login("alice"))
    assert user is not None
    principal, made = Principal.of(user), world(store=store)
    # Ids that no other process makes.
    here = assemble(replace(made.ports, new_id=Uuid7Ids()), made.policy)

    async def ask() -> str:
        try:
            reply = await here.chat.send_message(
                principal, Message(model=MINI, text="hello", idempotency_key=f"{key}-ask")
            )
        except RequestInProgress:
            return "asked: in progress"
        return f"asked: {(await reply.finished()).interaction.id}"

    async def pay() -> str:
        receipt = await here.billing.place_order(principal, Order(amount=10, idempotency_key=f"{key}-pay"))
        return f"paid: {receipt.payment.id}"

    return list(await asyncio.gather(*(act() for _ in range(times) for act in (ask, pay))))


async def main(url: str, key: str, times: str) -> None:
    """Open the store and print every answer."""
    store = open_store(url)
    for answer in await ask_and_pay(store, key, int(times)):
        print(answer)  # noqa: T201 - it tells its parent
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
