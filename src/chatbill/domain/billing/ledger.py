"""Entries that never change: every movement of credits, from one account to another.

Each entry debits one account and credits another by the same amount, so the sum over all accounts is zero by
construction. A wallet is a cache of its entries: `wallet_version` numbers them from 1 without a gap and
`balance_after` is what the wallet owns once the entry is posted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, UserId, WalletId

MAX_CREDITS = 10**15
"""No amount or balance may pass this bound, which keeps every sum well inside 64 bits."""


class EntryKind(StrEnum):
    """The kinds of movements of credits."""

    GRANT = "grant"
    TOP_UP = "top_up"
    CHARGE = "charge"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"


class HouseAccount(StrEnum):
    """The operator's side of each entry. Their balances are derived from the entries and stored nowhere."""

    PROMOTIONS = "house:promotions"
    PAYMENTS = "house:payments"
    REVENUE = "house:revenue"
    ADJUSTMENTS = "house:adjustments"


COUNTERPART = {
    EntryKind.GRANT: HouseAccount.PROMOTIONS,
    EntryKind.TOP_UP: HouseAccount.PAYMENTS,
    EntryKind.CHARGE: HouseAccount.REVENUE,
    EntryKind.REFUND: HouseAccount.REVENUE,
    EntryKind.ADJUSTMENT: HouseAccount.ADJUSTMENTS,
}
"""The house account that stands against the wallet, for each kind of entry."""


def wallet_account(wallet_id: WalletId) -> str:
    """Return the ledger's name for a wallet."""
    return f"wallet:{wallet_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The reason of a movement: a description for people, its subject, and the administrator who made it, if any."""

    description: Description
    subject: Subject | None = None
    hold_id: HoldId | None = None
    author: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """`amount` credits, always positive, moved from the `debit` account to the `credit` account."""

    id: EntryId
    kind: EntryKind
    debit: str
    credit: str
    amount: int
    wallet_id: WalletId
    wallet_version: int
    balance_after: int
    created_at: datetime
    cause: Cause

    def __post_init__(self) -> None:
        if type(self.amount) is not int or not 0 < self.amount <= MAX_CREDITS:
            raise InvariantViolation(f"entry {self.id}: {self.amount} is not an amount that can move")
        if self.debit == self.credit:
            raise InvariantViolation(f"entry {self.id} moves credits from an account to itself")

    @property
    def signed_amount(self) -> int:
        """Return the amount from the wallet's side: positive when credits came in."""
        return self.amount if self.credit == wallet_account(self.wallet_id) else -self.amount
