"""What a wallet lets happen, and what it does not."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import Cause, EntryKind, HouseAccount
from chatbill.domain.billing.subjects import USER, Owner, Subject
from chatbill.domain.billing.wallets import Promise, Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits, InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, WalletId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)
CAUSE = Cause(description=Description.of("test"))
CAPTION = Subject("caption", "1")
WORDS = Description.of("caption")
ENTRY = EntryId("entry")


def empty(name: str = "wallet", **state: int) -> Wallet:
    return Wallet(id=WalletId(name), owner=Owner(USER, "alice"), **state)


def funded(amount: int) -> Wallet:
    return empty().grant(amount, entry_id=ENTRY, at=NOW, cause=CAUSE).wallet


def held(wallet: Wallet, amount: int) -> Promise:
    return wallet.hold(HoldId("hold"), amount, subject=CAPTION, purpose=WORDS, at=NOW, expires_at=LATER)


def test_a_hold_promises_credits_without_spending_them() -> None:
    promise = held(funded(10), 4)
    wallet, hold = promise.wallet, promise.hold
    assert (wallet.posted, wallet.held, wallet.available) == (10, 4, 6)
    assert (hold.state, hold.amount, hold.expires_at) == (HoldState.PENDING, 4, LATER)
    assert (hold.subject, hold.purpose) == (CAPTION, WORDS)


def test_a_hold_over_what_is_available_is_refused_and_says_both_amounts() -> None:
    wallet = held(funded(10), 7).wallet
    with pytest.raises(InsufficientCredits) as refused:
        held(wallet, 4)
    assert (refused.value.required, refused.value.available) == (4, 3)
    assert wallet.held == 7


def test_a_capture_charges_what_is_due_and_frees_the_rest() -> None:
    promise = held(funded(10), 4)
    capture = promise.wallet.capture(promise.hold, 3, entry_id=ENTRY, at=LATER)
    wallet, hold, entry = capture.wallet, capture.hold, capture.entry
    assert (wallet.posted, wallet.held, wallet.version) == (7, 0, 2)
    assert (hold.state, hold.captured, hold.settled_at) == (HoldState.CAPTURED, 3, LATER)
    assert (entry.kind, entry.debit, entry.credit) == (EntryKind.CHARGE, "wallet:wallet", HouseAccount.REVENUE)
    assert (entry.amount, entry.signed_amount, entry.wallet_version, entry.balance_after) == (3, -3, 2, 7)
    assert entry.cause == Cause(description=WORDS, subject=CAPTION, hold_id=hold.id)


def test_a_release_gives_everything_back_and_writes_no_entry() -> None:
    promise = held(funded(10), 4)
    released = promise.wallet.release(promise.hold, at=LATER)
    wallet, hold = released.wallet, released.hold
    assert (wallet.posted, wallet.held, wallet.version) == (10, 0, 1)
    assert (hold.state, hold.captured) == (HoldState.RELEASED, 0)


def test_wallets_holds_and_entries_never_change() -> None:
    promise = held(funded(10), 4)
    capture = promise.wallet.capture(promise.hold, 3, entry_id=ENTRY, at=LATER)
    assert (promise.wallet.posted, promise.wallet.held, promise.hold.state) == (10, 4, HoldState.PENDING)
    for row in (capture.wallet, capture.hold, capture.entry):
        with pytest.raises(FrozenInstanceError):
            row.id = "another"  # type: ignore[misc, assignment]


@pytest.mark.parametrize("amount", [0, -1, 5])
def test_a_capture_outside_of_the_hold_is_a_bug(amount: int) -> None:
    promise = held(funded(10), 4)
    with pytest.raises(InvariantViolation):
        promise.wallet.capture(promise.hold, amount, entry_id=ENTRY, at=LATER)


def test_a_hold_is_settled_once() -> None:
    promise = held(funded(10), 4)
    released = promise.wallet.release(promise.hold, at=LATER)
    with pytest.raises(InvariantViolation):
        released.wallet.capture(released.hold, 4, entry_id=ENTRY, at=LATER)
    with pytest.raises(InvariantViolation):
        released.wallet.release(released.hold, at=LATER)


def test_a_hold_is_settled_by_its_own_wallet_alone() -> None:
    hold = held(funded(10), 4).hold
    with pytest.raises(InvariantViolation):
        empty("other", posted=10, held=4).release(hold, at=LATER)


def test_a_negative_hold_is_a_bug() -> None:
    with pytest.raises(InvariantViolation):
        held(funded(10), -1)


@pytest.mark.parametrize("expires_at", [NOW - timedelta(seconds=1), NOW + timedelta(hours=25, seconds=1)])
def test_a_hold_that_ends_before_it_begins_or_lasts_over_25_hours_is_a_bug(expires_at: datetime) -> None:
    with pytest.raises(InvariantViolation):
        funded(10).hold(HoldId("hold"), 1, subject=CAPTION, purpose=WORDS, at=NOW, expires_at=expires_at)


def test_credits_that_are_taken_back_may_leave_a_debt() -> None:
    wallet = funded(10).take_back(25, entry_id=ENTRY, at=LATER, cause=CAUSE).wallet
    assert (wallet.posted, wallet.overdraft, wallet.available) == (-15, 15, -15)


@given(
    grant=st.integers(min_value=1, max_value=1_000),
    steps=st.lists(st.tuples(st.integers(min_value=0, max_value=300), st.integers(min_value=0, max_value=300))),
)
def test_whatever_is_held_and_captured_nothing_is_made_or_lost(grant: int, steps: list[tuple[int, int]]) -> None:
    wallet, charged = funded(grant), 0
    for amount, due in steps:
        try:
            promise = held(wallet, amount)
        except InsufficientCredits:
            assert amount > wallet.available
            continue
        if 0 < due <= amount:
            capture = promise.wallet.capture(promise.hold, due, entry_id=ENTRY, at=LATER)
            wallet, charged = capture.wallet, charged + capture.entry.amount
        else:
            wallet = promise.wallet.release(promise.hold, at=LATER).wallet
        assert wallet.held == 0
        assert wallet.available >= 0
    assert wallet.posted == grant - charged
