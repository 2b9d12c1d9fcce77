"""What a wallet lets happen, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.billing.holds import Hold, HoldState
from chatbill.domain.billing.ledger import Cause, EntryKind, HouseAccount
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import InsufficientCredits, InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, WalletId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)
CAUSE = Cause(description="test")
ENTRY = EntryId("entry")


def funded(amount: int) -> Wallet:
    wallet = Wallet(id=WalletId("wallet"))
    wallet.grant(amount, entry_id=ENTRY, at=NOW, cause=CAUSE)
    return wallet


def held(wallet: Wallet, amount: int) -> Hold:
    return wallet.hold(HoldId("hold"), amount, at=NOW, expires_at=LATER)


def test_a_hold_promises_credits_without_spending_them() -> None:
    wallet = funded(10)
    hold = held(wallet, 4)
    assert (wallet.posted, wallet.held, wallet.available) == (10, 4, 6)
    assert (hold.state, hold.amount, hold.expires_at) == (HoldState.PENDING, 4, LATER)


def test_a_hold_over_what_is_available_is_refused_and_says_both_amounts() -> None:
    wallet = funded(10)
    held(wallet, 7)
    with pytest.raises(InsufficientCredits) as refused:
        held(wallet, 4)
    assert (refused.value.required, refused.value.available) == (4, 3)
    assert wallet.held == 7


def test_a_capture_charges_what_is_due_and_frees_the_rest() -> None:
    wallet = funded(10)
    hold = held(wallet, 4)
    entry = wallet.capture(hold, 3, entry_id=ENTRY, at=LATER, cause=CAUSE)
    assert (wallet.posted, wallet.held, wallet.version) == (7, 0, 2)
    assert (hold.state, hold.captured, hold.settled_at) == (HoldState.CAPTURED, 3, LATER)
    assert (entry.kind, entry.debit, entry.credit) == (EntryKind.CHARGE, "wallet:wallet", HouseAccount.REVENUE)
    assert (entry.amount, entry.signed_amount, entry.wallet_version, entry.balance_after) == (3, -3, 2, 7)


def test_a_release_gives_everything_back_and_writes_no_entry() -> None:
    wallet = funded(10)
    hold = held(wallet, 4)
    wallet.release(hold, at=LATER)
    assert (wallet.posted, wallet.held, wallet.version) == (10, 0, 1)
    assert (hold.state, hold.captured) == (HoldState.RELEASED, 0)


@pytest.mark.parametrize("amount", [0, -1, 5])
def test_a_capture_outside_of_the_hold_is_a_bug(amount: int) -> None:
    wallet = funded(10)
    hold = held(wallet, 4)
    with pytest.raises(InvariantViolation):
        wallet.capture(hold, amount, entry_id=ENTRY, at=LATER, cause=CAUSE)
    assert (wallet.posted, wallet.held, hold.state) == (10, 4, HoldState.PENDING)


def test_a_hold_is_settled_once() -> None:
    wallet = funded(10)
    hold = held(wallet, 4)
    wallet.release(hold, at=LATER)
    with pytest.raises(InvariantViolation):
        wallet.capture(hold, 4, entry_id=ENTRY, at=LATER, cause=CAUSE)
    with pytest.raises(InvariantViolation):
        wallet.release(hold, at=LATER)
    assert (wallet.posted, wallet.held) == (10, 0)


def test_a_hold_is_settled_by_its_own_wallet_alone() -> None:
    hold = held(funded(10), 4)
    other = Wallet(id=WalletId("other"), posted=10, held=4)
    with pytest.raises(InvariantViolation):
        other.release(hold, at=LATER)


def test_a_negative_hold_is_a_bug() -> None:
    with pytest.raises(InvariantViolation):
        held(funded(10), -1)


@given(
    grant=st.integers(min_value=1, max_value=1_000),
    steps=st.lists(st.tuples(st.integers(min_value=0, max_value=300), st.integers(min_value=0, max_value=300))),
)
def test_whatever_is_held_and_captured_nothing_is_made_or_lost(grant: int, steps: list[tuple[int, int]]) -> None:
    wallet, charged = funded(grant), 0
    for amount, due in steps:
        try:
            hold = held(wallet, amount)
        except InsufficientCredits:
            assert amount > wallet.available
            continue
        if 0 < due <= amount:
            charged += wallet.capture(hold, due, entry_id=ENTRY, at=LATER, cause=CAUSE).amount
        else:
            wallet.release(hold, at=LATER)
        assert wallet.held == 0
        assert wallet.available >= 0
    assert wallet.posted == grant - charged
