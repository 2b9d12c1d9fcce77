"""Wallets: the credits that an owner has, and the only operations that change them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.domain.billing.holds import Hold, HoldState
from chatbill.domain.billing.ledger import COUNTERPART, MAX_CREDITS, Cause, EntryKind, LedgerEntry, wallet_account
from chatbill.domain.shared.errors import InsufficientCredits, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, WalletId


@dataclass(slots=True, kw_only=True)
class Wallet:
    """Credits that can be spent. `posted` is owned, `held` is promised to running work.

    `version` counts the ledger entries of this wallet. `overdraft` is how far below zero an administrator has let it
    fall; nobody can spend into it.
    """

    id: WalletId
    posted: int = 0
    held: int = 0
    version: int = 0
    overdraft: int = 0

    @property
    def available(self) -> int:
        """Credits that can still be promised."""
        return self.posted - self.held

    def hold(self, hold_id: HoldId, amount: int, *, at: datetime, expires_at: datetime) -> Hold:
        """Promise `amount` credits to some work, or raise `InsufficientCredits`."""
        if amount < 0:
            raise InvariantViolation(f"wallet {self.id} cannot hold {amount}")
        if amount > self.available:
            raise InsufficientCredits(required=amount, available=self.available)
        self.held += amount
        return Hold(id=hold_id, wallet_id=self.id, amount=amount, created_at=at, expires_at=expires_at)

    def capture(self, hold: Hold, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        """Turn a pending hold into a charge of `amount` credits, from 1 to what is held; the rest is free again."""
        if not 0 < amount <= hold.amount:
            raise InvariantViolation(f"hold {hold.id} of {hold.amount} cannot be captured for {amount}")
        self._settle(hold, HoldState.CAPTURED, at)
        hold.captured = amount
        return self._post(EntryKind.CHARGE, -amount, entry_id=entry_id, at=at, cause=cause)

    def release(self, hold: Hold, *, at: datetime) -> None:
        """Give a pending hold back; nothing is charged."""
        self._settle(hold, HoldState.RELEASED, at)

    def grant(self, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        """Add credits that the house gives away."""
        return self._post(EntryKind.GRANT, amount, entry_id=entry_id, at=at, cause=cause)

    def top_up(self, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        """Add credits that were paid for."""
        return self._post(EntryKind.TOP_UP, amount, entry_id=entry_id, at=at, cause=cause)

    def refund(self, hold: Hold, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        """Give back a charge or a part of it; all refunds of a charge together are never more than it."""
        if hold.wallet_id != self.id:
            raise InvariantViolation(f"hold {hold.id} belongs to another wallet than {self.id}")
        if not 0 < amount <= hold.refundable:
            raise InvalidRequest.of("amount", "not_refundable", left=hold.refundable)
        hold.refunded += amount
        return self._post(EntryKind.REFUND, amount, entry_id=entry_id, at=at, cause=cause)

    def adjust(self, amount: int, *, max_debt: int, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        """Add credits, or take them when `amount` is negative, by hand.

        What is left to spend may fall to `-max_debt` and no lower. Raises `InvalidRequest`.
        """
        left = self.available + amount
        if amount == 0:
            raise InvalidRequest.of("amount", "zero")
        if amount < 0 and left < -max_debt:
            most = self.available + max_debt
            raise InvalidRequest.of("amount", "debt_too_high", max=max(most, 0))
        self.overdraft = max(self.overdraft, -left)
        return self._post(EntryKind.ADJUSTMENT, amount, entry_id=entry_id, at=at, cause=cause)

    def _settle(self, hold: Hold, state: HoldState, at: datetime) -> None:
        if hold.wallet_id != self.id:
            raise InvariantViolation(f"hold {hold.id} belongs to another wallet than {self.id}")
        if not hold.is_pending:
            raise InvariantViolation(f"hold {hold.id} is already {hold.state}")
        self.held -= hold.amount
        hold.state = state
        hold.settled_at = at

    def _post(self, kind: EntryKind, signed: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> LedgerEntry:
        mine, theirs = wallet_account(self.id), COUNTERPART[kind]
        balance_after = self.posted + signed
        if abs(balance_after) > MAX_CREDITS:
            raise InvalidRequest.of("amount", "wallet_limit", max=MAX_CREDITS)
        entry = LedgerEntry(
            id=entry_id,
            kind=kind,
            debit=theirs if signed > 0 else mine,
            credit=mine if signed > 0 else theirs,
            amount=abs(signed),
            wallet_id=self.id,
            wallet_version=self.version + 1,
            balance_after=balance_after,
            description=cause.description,
            created_at=at,
            hold_id=cause.hold_id,
            interaction_id=cause.interaction_id,
            payment_id=cause.payment_id,
            author=cause.author,
        )
        self.posted = balance_after
        self.version = entry.wallet_version
        return entry
