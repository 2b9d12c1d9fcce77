"""Repositories that use tables in memory and refuse what the constraints and triggers of a database refuse."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.alerts import MemoryAlerts
from chatbill.adapters.memory.repositories.api_keys import MemoryApiKeys
from chatbill.adapters.memory.repositories.audit import MemoryAuditReader
from chatbill.adapters.memory.repositories.audit_trail import MemoryAuditTrail
from chatbill.adapters.memory.repositories.codes import MemoryCodes
from chatbill.adapters.memory.repositories.conversations import MemoryConversations
from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.idempotency import MemoryIdempotency
from chatbill.adapters.memory.repositories.instances import MemoryInstances
from chatbill.adapters.memory.repositories.interactions import MemoryInteractions
from chatbill.adapters.memory.repositories.jobs import MemoryJobs
from chatbill.adapters.memory.repositories.ledger import MemoryLedger
from chatbill.adapters.memory.repositories.outbox import MemoryOutbox
from chatbill.adapters.memory.repositories.payments import MemoryPayments
from chatbill.adapters.memory.repositories.reports import MemoryReports
from chatbill.adapters.memory.repositories.second_factors import MemorySecondFactors
from chatbill.adapters.memory.repositories.sessions import MemorySessions
from chatbill.adapters.memory.repositories.users import MemoryUsers
from chatbill.adapters.memory.repositories.wallets import MemoryHolds, MemoryWallets


class MemoryWriteChecks:
    """Checks nothing, because a write to memory cannot fail like a write to a disk."""

    def write(self, check_id: str) -> None:
        """Do nothing."""


class MemoryTransaction:
    """Holds all repositories, and commits or rolls back their changes together."""

    def __init__(self) -> None:
        self._tables = tables = Tables()
        self.users = MemoryUsers(tables)
        self.sessions = MemorySessions(tables)
        self.second_factors = MemorySecondFactors(tables)
        self.api_keys = MemoryApiKeys(tables)
        self.wallets = MemoryWallets(tables)
        self.holds = MemoryHolds(tables)
        self.ledger = MemoryLedger(tables)
        self.conversations = MemoryConversations(tables)
        self.interactions = MemoryInteractions(tables)
        self.payments = MemoryPayments(tables)
        self.codes = MemoryCodes(tables)
        self.idempotency = MemoryIdempotency(tables)
        self.outbox = MemoryOutbox(tables)
        self.audit_trail = MemoryAuditTrail(tables)
        self.reports = MemoryReports(tables)
        self.jobs = MemoryJobs(tables)
        self.alerts = MemoryAlerts(tables)
        self.instances = MemoryInstances(tables)
        self.write_checks = MemoryWriteChecks()
        self.audit = MemoryAuditReader(tables)

    def commit(self) -> None:
        """Keep the changes of every table."""
        for table in self._tables.each():
            table.commit()

    def roll_back(self) -> None:
        """Drop the changes of every table."""
        for table in self._tables.each():
            table.roll_back()
