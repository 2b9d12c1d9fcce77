"""Wallets: the credits that an owner has, and the only operations that change them.

Wallets, holds and entries never change: each operation returns the new ones, for the caller to save.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbill.domain.billing.holds import MAX_HOLD_S, Hold, HoldState
from chatbill.domain.billing.ledger import COUNTERPART, MAX_CREDITS, Cause, EntryKind, LedgerEntry, wallet_account
from chatbill.domain.billing.subjects import Owner, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, InstanceId, WalletId

_LONGEST = timedelta(seconds=MAX_HOLD_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """The credits of one owner, in whole credits. `posted` is owned; `held` is the part promised to running work.

    `version` counts the ledger entries of this wallet. `overdraft` is how far below zero its balance was allowed to
    fall; it cannot be spent.
    """

    id: WalletId
    owner: Owner
    posted: int = 0
    held: int = 0
    version: int = 0
    overdraft: int = 0

    @property
    def available(self) -> int:
        """Return the credits that can still be promised."""
        return self.posted - self.held

    def hold(
        self,
        hold_id: HoldId,
        amount: int,
        *,
        subject: Subject,
        purpose: Description,
        at: datetime,
        expires_at: datetime,
        instance_id: InstanceId | None = None,
    ) -> Promise:
        """Promise `amount` credits to the work on a subject, until `expires_at`, at most 25 hours later.

        `instance_id` is the process that does the work; see `Hold`. Raises `InsufficientCredits`.
        """
        if type(amount) is not int or amount < 0:
            raise InvariantViolation(f"wallet {self.id} cannot hold {amount}")
        if not timedelta() <= expires_at - at <= _LONGEST:
            raise InvariantViolation(f"hold {hold_id} cannot last from {at} to {expires_at}")
        if amount > self.available:
            raise InsufficientCredits(required=amount, available=self.available)
        hold = Hold(
            id=hold_id,
            wallet_id=self.id,
            amount=amount,
            created_at=at,
            expires_at=expires_at,
            subject=subject,
            purpose=purpose,
            instance_id=instance_id,
        )
        return Promise(self._with(held=self.held + amount), hold)

    def capture(self, hold: Hold, amount: int, *, entry_id: EntryId, at: datetime) -> Capture:
        """Turn a pending hold into a charge of `amount` credits, from 1 to what is held; the rest is free again."""
        if type(amount) is not int or not 0 < amount <= hold.amount:
            raise InvariantViolation(f"hold {hold.id} of {hold.amount} cannot be captured for {amount}")
        held = self._held_without(hold)
        cause = Cause(description=hold.purpose, subject=hold.subject, hold_id=hold.id)
        posting = self._post(EntryKind.CHARGE, -amount, entry_id=entry_id, at=at, cause=cause, held=held)
        settled = replace(hold, state=HoldState.CAPTURED, captured=amount, settled_at=at)
        return Capture(posting.wallet, settled, posting.entry)

    def release(self, hold: Hold, *, at: datetime) -> Promise:
        """Give a pending hold back; nothing is charged."""
        return Promise(
            self._with(held=self._held_without(hold)), replace(hold, state=HoldState.RELEASED, settled_at=at)
        )

    def grant(self, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> Posting:
        """Add credits that the operator gives away."""
        return self._post(EntryKind.GRANT, amount, entry_id=entry_id, at=at, cause=cause)

    def top_up(self, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> Posting:
        """Add credits that were paid for."""
        return self._post(EntryKind.TOP_UP, amount, entry_id=entry_id, at=at, cause=cause)

    def refund(self, hold: Hold, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> Capture:
        """Give back a charge or a part of it; all refunds of a charge together are never more than it."""
        if hold.wallet_id != self.id:
            raise InvariantViolation(f"hold {hold.id} belongs to another wallet than {self.id}")
        if not 0 < amount <= hold.refundable:
            raise InvalidRequest.of("amount", "not_refundable", left=hold.refundable)
        posting = self._post(EntryKind.REFUND, amount, entry_id=entry_id, at=at, cause=cause)
        return Capture(posting.wallet, replace(hold, refunded=hold.refunded + amount), posting.entry)

    def adjust(self, amount: int, *, max_debt: int, entry_id: EntryId, at: datetime, cause: Cause) -> Posting:
        """Add credits, or take them when `amount` is negative, by hand.

        What is left to spend may fall to `-max_debt` and no lower. Raises `InvalidRequest`.
        """
        if amount == 0:
            raise InvalidRequest.of("amount", "zero")
        if amount < 0 and self.available + amount < -max_debt:
            most = self.available + max_debt
            raise InvalidRequest.of("amount", "debt_too_high", max=max(most, 0))
        return self._owing(amount)._post(EntryKind.ADJUSTMENT, amount, entry_id=entry_id, at=at, cause=cause)  # noqa: SLF001 - own

    def take_back(self, amount: int, *, entry_id: EntryId, at: datetime, cause: Cause) -> Posting:
        """Take credits whose payment was returned, even where they were spent: the wallet then owes them."""
        return self._owing(-amount)._post(EntryKind.ADJUSTMENT, -amount, entry_id=entry_id, at=at, cause=cause)  # noqa: SLF001 - own

    def _owing(self, amount: int) -> Wallet:
        """Return this wallet with an overdraft that allows a movement of `amount`."""
        return replace(self, overdraft=max(self.overdraft, -(self.available + amount)))

    def _held_without(self, hold: Hold) -> int:
        """Return the credits that are held by the other holds than this pending one."""
        if hold.wallet_id != self.id:
            raise InvariantViolation(f"hold {hold.id} belongs to another wallet than {self.id}")
        if not hold.is_pending:
            raise InvariantViolation(f"hold {hold.id} is already {hold.state}")
        return self.held - hold.amount

    def _with(self, *, held: int, posted: int | None = None) -> Wallet:
        """Return this wallet with these figures; its version is one more if `posted` is given."""
        # Written out, because a charge does it twice and `replace` takes twice as long.
        return Wallet(
            id=self.id,
            owner=self.owner,
            posted=self.posted if posted is None else posted,
            held=held,
            version=self.version + (posted is not None),
            overdraft=self.overdraft,
        )

    def _post(
        self, kind: EntryKind, signed: int, *, entry_id: EntryId, at: datetime, cause: Cause, held: int | None = None
    ) -> Posting:
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
            created_at=at,
            cause=cause,
        )
        return Posting(self._with(posted=balance_after, held=self.held if held is None else held), entry)


@dataclass(frozen=True, slots=True)
class Promise:
    """A wallet and a hold that is new in it, or was released from it."""

    wallet: Wallet
    hold: Hold


@dataclass(frozen=True, slots=True)
class Posting:
    """A wallet and the entry that was added to it."""

    wallet: Wallet
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class Capture:
    """A wallet, a hold that was charged or refunded, and the entry that says so."""

    wallet: Wallet
    hold: Hold
    entry: LedgerEntry
