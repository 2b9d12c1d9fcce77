"""What the tests of billing share: books that agree, and a store that fails when told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chatbill.adapters.memory import MemoryStore
from chatbill.application.ports.store import StoreUnavailable, Transaction
from chatbill.domain.audit.proof import Difference
from tests.kit.support import World

T = TypeVar("T")


class FailingStore(MemoryStore):
    """A store in memory whose next `failures` writes fail, or the answers of the next `lost_answers` get lost."""

    failures = 0
    lost_answers = 0

    async def write(self, work: Callable[[Transaction], T]) -> T:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("The database is away.")
        answer = await super().write(work)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnavailable("The connection was lost.")
        return answer


async def assert_books_agree(here: World) -> None:
    differences: list[Difference] = []
    await here.use_cases.audit.verify_ledger(differences.append)
    assert differences == []
