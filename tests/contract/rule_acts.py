"""Rows of each kind to break rules with, and acts that write a row that breaks one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatbill.application.billing.postings import keep_hold, keep_posting
from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.sessions import RefreshToken
from chatbill.domain.billing.holds import Hold, HoldState
from chatbill.domain.billing.ledger import MAX_CREDITS, Cause, EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Payment, PaymentStatus
from chatbill.domain.billing.prices import Usage
from chatbill.domain.billing.subjects import CODE, PAYMENT, Subject
from chatbill.domain.billing.wallets import Posting
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import ApiKeyId, EntryId, HoldId, PaymentId, SessionId
from tests.kit.rows import (
    ALICE,
    BOB,
    NOON,
    PURSE,
    add_person,
    add_running,
    api_key,
    audit_record,
    charge,
    code,
    grant,
    interaction,
    later,
    payment,
    second_factor,
    session,
    user,
)

Act = Callable[[Transaction], Any]
CI, GONE, NOWHERE = ApiKeyId("ci"), ApiKeyId("gone"), "none"
TOO_MUCH = MAX_CREDITS + 1
NAIVE = NOON.replace(tzinfo=None)
TERM = later(60)
CAPTION = Subject("caption", "1")
SORRY = Description.of("by_hand", reason="Sorry")
RECORD = IdempotencyRecord(user_id=ALICE, key="key", fingerprint="f", created_at=NOON, subject_id="s")
JANUARY = api_key().month_of(NOON)


def fill(tx: Transaction) -> None:
    """Alice with a row of each kind: running, charged and refunded work, payments in each state; and Bob."""
    add_person(tx)
    add_person(tx, "bob")
    tx.audit_trail.append(audit_record())
    tx.sessions.add(session())
    tx.sessions.add_token(RefreshToken(digest="digest", session_id=SessionId("session"), issued_at=NOON))
    tx.api_keys.add(api_key())
    tx.api_keys.add(api_key("gone", revoked_at=later(1), revoked_by=ALICE, revoked_why="It leaked"))
    tx.api_keys.save_month(replace(JANUARY, used=4))
    add_person(tx, "erased")
    tx.users.save(user("erased", disabled_at=NOON, erased_at=NOON))
    tx.second_factors.add(second_factor())
    tx.codes.add(code())
    tx.codes.add(code("withdrawn", withdrawn_at=NOON, withdrawn_by=ALICE))
    redeem(tx, "redeemed")
    tx.idempotency.claim(RECORD)
    for name in ("first", "second"):
        add_running(tx, name)
    charge(tx, "second", 4)
    wallet, hold = tx.wallets.lock(PURSE), tx.holds.get(HoldId("hold-second"))
    assert hold
    cause = Cause(description=SORRY, subject=hold.subject, hold_id=hold.id, author=BOB)
    refund = wallet.refund(hold, 2, entry_id=EntryId("refund"), at=later(3), cause=cause)
    tx.holds.save_refund(refund.hold)
    keep_posting(tx, Posting(refund.wallet, refund.entry))
    made = refund.wallet.hold(
        HoldId("spare"), 1, subject=CAPTION, purpose=Description.of("caption"), at=NOON, expires_at=TERM
    )
    keep_hold(tx, made)
    tx.payments.add(payment("pending"))
    tx.payments.add(payment("failed"))
    tx.payments.save(payment("failed").failed())
    for name in ("paid", "returned"):
        tx.payments.add(payment(name))
        cause = Cause(description=Description.of("top_up", package="small"), subject=Subject(PAYMENT, name))
        topped_up = tx.wallets.lock(PURSE).top_up(100, entry_id=EntryId(name), at=later(4), cause=cause)
        keep_posting(tx, topped_up)
        tx.payments.save(payment(name).confirmed(at=later(4), balance_after=topped_up.entry.balance_after))
    back = tx.payments.lock(PaymentId("returned"))
    assert back
    cause = Cause(description=Description.of("payment_refunded", package="small"), subject=Subject(PAYMENT, back.id))
    keep_posting(tx, tx.wallets.lock(PURSE).take_back(100, entry_id=EntryId("back"), at=later(5), cause=cause))
    tx.payments.save(back.refunded(at=later(5)))


def redeem(tx: Transaction, entry_id: str) -> None:
    """Add an entry of the code to Alice's wallet."""
    cause = Cause(description=Description.of("code_redeemed"), subject=Subject(CODE, "code"))
    keep_posting(tx, tx.wallets.lock(PURSE).grant(50, entry_id=EntryId(entry_id), at=NOON, cause=cause))


def both(first: Act, second: Act) -> Act:
    """Do two things in one transaction."""

    def act(tx: Transaction) -> None:
        first(tx)
        second(tx)

    return act


def wallet(**changes: Any) -> Act:
    """Save Alice's wallet with these changes."""
    return lambda tx: tx.wallets.save(replace(tx.wallets.lock(PURSE), **changes))


def wallet_with(change: Callable[[Any], dict[str, Any]]) -> Act:
    """Save Alice's wallet with changes that depend on it."""
    return lambda tx: tx.wallets.save(replace(tx.wallets.lock(PURSE), **change(tx.wallets.lock(PURSE))))


def hold(tx: Transaction, name: str = "spare") -> Hold:
    found = tx.holds.get(HoldId(name))
    assert found
    return found


def add_hold(**changes: Any) -> Act:
    """Add a hold with these changes."""
    return lambda tx: tx.holds.add(replace(hold(tx), **{"id": HoldId("new"), **changes}))


def save_hold(**changes: Any) -> Act:
    """Save the hold `spare` as released, with these changes."""
    released = {"state": HoldState.RELEASED, "settled_at": later(9)}
    return lambda tx: tx.holds.save(replace(hold(tx), **{**released, **changes}))


def save_refund(refunded: int) -> Act:
    """Save how much of the hold that was charged was refunded."""
    return lambda tx: tx.holds.save_refund(replace(hold(tx, "hold-second"), refunded=refunded))


def add_interaction(**changes: Any) -> Act:
    """Add an interaction of the hold `spare`."""
    return lambda tx: tx.interactions.add(interaction("new", **{"hold_id": HoldId("spare"), **changes}))


def ended(outcome: Outcome = Outcome.COMPLETED, **changes: Any) -> Interaction:
    """The interaction that runs, with an end and these changes."""
    end = interaction().ended(outcome, at=later(9), reply="", usage=Usage(), credits_charged=0, balance_after=9)
    return replace(end, **changes)


def end(outcome: Outcome = Outcome.COMPLETED, **changes: Any) -> Act:
    """Save the end of the interaction that runs."""
    return lambda tx: tx.interactions.save(ended(outcome, **changes))


def add_payment(**changes: Any) -> Act:
    """Add a payment with these changes."""
    return lambda tx: tx.payments.add(payment("new", **changes))


def save_payment(name: str, **changes: Any) -> Act:
    """Save a payment with these changes."""
    return lambda tx: tx.payments.save(replace(found_payment(tx, name), **changes))


def found_payment(tx: Transaction, name: str) -> Payment:
    found = tx.payments.get(PaymentId(name))
    assert found
    return found


CONFIRMED: dict[str, Any] = {"status": PaymentStatus.CONFIRMED, "confirmed_at": later(9), "balance_after": 9}
REFUNDED: dict[str, Any] = {**CONFIRMED, "status": PaymentStatus.REFUNDED, "refunded_at": later(9)}
OPEN: dict[str, Any] = {"confirmed_at": None, "balance_after": None, "refunded_at": None}


def entry(tx: Transaction, **changes: Any) -> LedgerEntry:
    """The next entry of Alice's wallet, a grant, with these changes."""
    return replace(grant(tx.wallets.lock(PURSE)).entry, **changes)


def append(**changes: Any) -> Act:
    """Append an entry with these changes."""
    return lambda tx: tx.ledger.append(entry(tx, **changes))


def charge_entry(**cause: Any) -> Act:
    """Append a charge with this cause."""
    made = Cause(description=Description.of("caption"), **cause)
    return append(kind=EntryKind.CHARGE, debit=f"wallet:{PURSE}", credit="house:revenue", amount=1, cause=made)


def append_again(name: str) -> Act:
    """Append another entry with the cause of this one."""

    def act(tx: Transaction) -> None:
        known = tx.ledger.get(EntryId(name))
        assert known
        version = tx.wallets.lock(PURSE).version + 1
        tx.ledger.append(replace(known, id=EntryId("again"), wallet_version=version))

    return act


def month(**changes: Any) -> Act:
    """Save the month of the API key with these changes."""
    return lambda tx: tx.api_keys.save_month(replace(JANUARY, **changes))


def claim(**changes: Any) -> Act:
    """Claim a new idempotency key with these changes."""
    return lambda tx: tx.idempotency.claim(replace(RECORD, **{"key": "new", **changes}))


TOP_UP: dict[str, Any] = {"kind": EntryKind.TOP_UP, "debit": "house:payments"}
ADJUSTMENT: dict[str, Any] = {"kind": EntryKind.ADJUSTMENT, "debit": "house:adjustments"}
OF_NO_PAYMENT = Cause(description=SORRY)
OF_A_PAYMENT = Cause(description=SORRY, subject=Subject(PAYMENT, "pending"))
