"""Holds: credits that a wallet has promised to work that is still running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import HoldId, InstanceId, WalletId

MAX_HOLD_S = 90_000
"""The longest life of a hold, in seconds: a reply may take a day, and its hold outlives it by an hour at most."""


class HoldState(StrEnum):
    """A hold starts pending and ends once, either way."""

    PENDING = "pending"
    CAPTURED = "captured"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Credits promised to the work on one subject until `expires_at`.

    `amount` is the most the work can cost, `captured` what it did cost, `refunded` what was given back of that since;
    all in credits. `purpose` says what the work is, for the person who pays. `instance_id` is the process that does the
    work, if it renews a lease: without the lease, the hold is released early.
    """

    id: HoldId
    wallet_id: WalletId
    amount: int
    created_at: datetime
    expires_at: datetime
    subject: Subject
    purpose: Description
    state: HoldState = HoldState.PENDING
    captured: int = 0
    refunded: int = 0
    settled_at: datetime | None = None
    instance_id: InstanceId | None = None

    @property
    def is_pending(self) -> bool:
        """True until the hold is captured or released."""
        return self.state is HoldState.PENDING

    @property
    def refundable(self) -> int:
        """Return the credits that can still be given back."""
        return self.captured - self.refunded
