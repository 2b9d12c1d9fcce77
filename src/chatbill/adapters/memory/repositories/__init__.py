"""Repositories over tables in memory. They refuse what the constraints of a database would refuse."""

from __future__ import annotations

from collections.abc import Iterator

from chatbill.adapters.memory.repositories.api_keys import MemoryApiKeys
from chatbill.adapters.memory.repositories.audit import MemoryAuditReader
from chatbill.adapters.memory.repositories.conversations import MemoryConversations
from chatbill.adapters.memory.repositories.idempotency import MemoryIdempotency
from chatbill.adapters.memory.repositories.interactions import MemoryInteractions
from chatbill.adapters.memory.repositories.ledger import MemoryLedger
from chatbill.adapters.memory.repositories.payments import MemoryPayments
from chatbill.adapters.memory.repositories.sessions import MemorySessions
from chatbill.adapters.memory.repositories.users import MemoryUsers
from chatbill.adapters.memory.repositories.wallets import MemoryHolds, MemoryWallets
from chatbill.adapters.memory.tables import Table


class MemoryWriteChecks:
    """Memory keeps what is written as long as it keeps anything."""

    def write(self, check_id: str) -> None:
        """Nothing to see."""


class MemoryTransaction:
    """All repositories, with one commit and one roll-back for all."""

    def __init__(self) -> None:
        self.users = MemoryUsers()
        self.sessions = MemorySessions()
        self.api_keys = MemoryApiKeys()
        self.wallets = MemoryWallets()
        self.holds = MemoryHolds()
        self.ledger = MemoryLedger()
        self.conversations = MemoryConversations()
        self.interactions = MemoryInteractions(self.conversations)
        self.holds.works = self.interactions.table.rows
        self.payments = MemoryPayments()
        self.idempotency = MemoryIdempotency()
        self.write_checks = MemoryWriteChecks()
        self.books = MemoryAuditReader(
            self.users, self.wallets, self.holds, self.ledger, self.interactions, self.payments, self.api_keys
        )

    def commit(self) -> None:
        """Keep the changes of every table."""
        for table in self._tables():
            table.commit()

    def roll_back(self) -> None:
        """Drop the changes of every table."""
        for table in self._tables():
            table.roll_back()

    def _tables(self) -> Iterator[Table[str, object]]:
        owners = (self.users, self.sessions, self.wallets, self.holds, self.conversations, self.interactions)
        for owner in (*owners, self.payments, self.idempotency):
            yield owner.table  # type: ignore[misc]
        yield self.sessions.tokens  # type: ignore[misc]
        yield self.interactions.stops  # type: ignore[misc]
        yield from self.api_keys.tables()  # type: ignore[misc]
        yield from self.ledger.tables()  # type: ignore[misc]
