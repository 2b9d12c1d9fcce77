"""The part of a store that charging needs: wallets, holds, the ledger, idempotency keys and the outbox.

Every `Store` is a `BillingStore`. An application with accounts and data of its own implements `BillingStore.write` and
the twelve methods of these repositories.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import HoldId, UserId, WalletId

T = TypeVar("T")


class BillingWallets(Protocol):
    def get(self, wallet_id: WalletId) -> Wallet | None: ...

    def lock(self, wallet_id: WalletId) -> Wallet:
        """Return the wallet, which no other transaction changes until this one ends. Raises `NotFound`."""
        ...

    def add(self, wallet: Wallet) -> None: ...
    def save(self, wallet: Wallet) -> None: ...


class BillingHolds(Protocol):
    def get(self, hold_id: HoldId) -> Hold | None: ...

    def due(self, now: datetime, limit: int) -> list[Hold]:
        """Return at most `limit` pending holds that should have ended by `now`, the oldest first."""
        ...

    def add(self, hold: Hold) -> None: ...

    def save(self, hold: Hold) -> None:
        """Store a settled hold. Raises `InvariantViolation` unless the stored hold is still pending."""
        ...


class BillingLedger(Protocol):
    def append(self, entry: LedgerEntry) -> None: ...


class BillingIdempotency(Protocol):
    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None: ...

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        """Store the record and return None if the user has no record with its key; otherwise return that one."""
        ...


class BillingOutbox(Protocol):
    def add(self, event: BillingEvent) -> None: ...


class BillingTransaction(Protocol):
    """The repositories that a charge needs, in one atomic transaction."""

    @property
    def wallets(self) -> BillingWallets: ...
    @property
    def holds(self) -> BillingHolds: ...
    @property
    def ledger(self) -> BillingLedger: ...
    @property
    def idempotency(self) -> BillingIdempotency: ...
    @property
    def outbox(self) -> BillingOutbox: ...


class BillingStore(Protocol):
    """A store that runs a function as a transaction; see `ports.store.Store.write`."""

    async def write(self, work: Callable[[BillingTransaction], T]) -> T: ...
