"""The store port: a transaction is a function, run alone and durably."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from chatbill.application.ports.repositories.alerts import AlertReader, AlertRepository
from chatbill.application.ports.repositories.api_keys import ApiKeyReader, ApiKeyRepository
from chatbill.application.ports.repositories.audit import AuditReader
from chatbill.application.ports.repositories.audit_trail import AuditTrail, AuditTrailReader
from chatbill.application.ports.repositories.codes import CodeReader, CodeRepository
from chatbill.application.ports.repositories.conversations import ConversationReader, ConversationRepository
from chatbill.application.ports.repositories.holds import HoldReader, HoldRepository
from chatbill.application.ports.repositories.idempotency import IdempotencyReader, IdempotencyRepository
from chatbill.application.ports.repositories.instances import InstanceRepository
from chatbill.application.ports.repositories.interactions import InteractionReader, InteractionRepository
from chatbill.application.ports.repositories.jobs import JobReader, JobRepository
from chatbill.application.ports.repositories.ledger import LedgerReader, LedgerRepository
from chatbill.application.ports.repositories.outbox import Outbox, OutboxReader
from chatbill.application.ports.repositories.payments import PaymentReader, PaymentRepository
from chatbill.application.ports.repositories.reports import ReportReader, ReportRepository
from chatbill.application.ports.repositories.second_factors import SecondFactorReader, SecondFactorRepository
from chatbill.application.ports.repositories.sessions import SessionReader, SessionRepository
from chatbill.application.ports.repositories.users import UserReader, UserRepository
from chatbill.application.ports.repositories.wallets import WalletReader, WalletRepository
from chatbill.application.ports.repositories.write_checks import WriteChecks
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError

T = TypeVar("T")


class StoreUnavailable(ChatbillError):
    """Raised when the store did not answer or could not write. The work was then stored completely or not at all.

    `cause` is for operators and logs: it may quote the database. `advice` describes what is wrong and what to do, and
    may be shown to any person; None if unknown.
    """

    code = "store_unavailable"

    def __init__(self, cause: str, *, advice: Description | None = None) -> None:
        self.cause, self.advice = cause, advice
        if advice is None:
            super().__init__(cause)
        else:
            described = Description.of("store_unavailable", advice=advice.dumps(), cause=cause)
            super().__init__(f"{advice.code}: {cause}", description=described)


class Snapshot(Protocol):
    """All repositories, for reading, as of one moment."""

    @property
    def users(self) -> UserReader: ...
    @property
    def sessions(self) -> SessionReader: ...
    @property
    def second_factors(self) -> SecondFactorReader: ...
    @property
    def api_keys(self) -> ApiKeyReader: ...
    @property
    def wallets(self) -> WalletReader: ...
    @property
    def holds(self) -> HoldReader: ...
    @property
    def ledger(self) -> LedgerReader: ...
    @property
    def conversations(self) -> ConversationReader: ...
    @property
    def interactions(self) -> InteractionReader: ...
    @property
    def payments(self) -> PaymentReader: ...
    @property
    def codes(self) -> CodeReader: ...
    @property
    def idempotency(self) -> IdempotencyReader: ...
    @property
    def outbox(self) -> OutboxReader: ...
    @property
    def audit_trail(self) -> AuditTrailReader: ...
    @property
    def reports(self) -> ReportReader: ...
    @property
    def jobs(self) -> JobReader: ...
    @property
    def alerts(self) -> AlertReader: ...
    @property
    def audit(self) -> AuditReader: ...


class Transaction(Protocol):
    """All repositories, for reading and writing, in one atomic transaction."""

    @property
    def users(self) -> UserRepository: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def second_factors(self) -> SecondFactorRepository: ...
    @property
    def api_keys(self) -> ApiKeyRepository: ...
    @property
    def wallets(self) -> WalletRepository: ...
    @property
    def holds(self) -> HoldRepository: ...
    @property
    def ledger(self) -> LedgerRepository: ...
    @property
    def conversations(self) -> ConversationRepository: ...
    @property
    def interactions(self) -> InteractionRepository: ...
    @property
    def payments(self) -> PaymentRepository: ...
    @property
    def codes(self) -> CodeRepository: ...
    @property
    def idempotency(self) -> IdempotencyRepository: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def audit_trail(self) -> AuditTrail: ...
    @property
    def reports(self) -> ReportRepository: ...
    @property
    def jobs(self) -> JobRepository: ...
    @property
    def alerts(self) -> AlertRepository: ...
    @property
    def instances(self) -> InstanceRepository: ...
    @property
    def write_checks(self) -> WriteChecks: ...


class Store(Protocol):
    """Runs transactions on the stored data."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` atomically and durably, and return what it returns once that is on disk.

        `work` may run more than once, so it only reads, decides and saves. When it raises, nothing is kept and the
        error reaches the caller. Raises `StoreUnavailable` when the store itself fails, and
        `InvariantViolation` when the work would break a rule that the store guards.
        """
        ...

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` on one consistent snapshot. What it returns must not depend on the snapshot any more."""
        ...

    async def close(self) -> None:
        """Finish the running work and release all resources. Safe to call again."""
        ...
