"""Changes that tests of several repositories make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId, ModelId
from tests.kit.rows import add_running, charge, later


async def write(store: Store, *changes: Callable[[Transaction], Any]) -> None:
    """All changes in one transaction."""
    await store.write(lambda tx: [change(tx) for change in changes] and None)


def fill(tx: Transaction, count: int = 10) -> list[Interaction]:
    """Interactions of Alice's, three a second, of which the even ones are completed and the odd ones run."""
    for number in range(count):
        model = ModelId("demo-mini" if number % 4 else "demo-pro")
        add_running(tx, f"i{number}", created_at=later(number // 3), prompt=f"Prompt {number}", model=model)
        if number % 2 == 0:
            charge(tx, f"i{number}", reply=f"Reply {number}")
    rows = [tx.interactions.get(InteractionId(f"i{number}")) for number in range(count)]
    return sorted((row for row in rows if row), key=lambda row: (row.created_at, row.id), reverse=True)
