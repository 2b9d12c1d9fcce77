"""What an accountant would object to, and the audit names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chatbill.domain.audit import Settlement, Tally, audit
from chatbill.domain.chat import Outcome
from chatbill.domain.credits import Price, Usage
from chatbill.domain.ids import EntryId, HoldId, InteractionId, PaymentId, WalletId
from chatbill.domain.ledger import COUNTERPART, EntryKind, LedgerEntry, wallet_account
from chatbill.domain.wallets import HoldState, Wallet

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = WalletId("ann"), WalletId("bob")
INWARD = {EntryKind.GRANT, EntryKind.TOP_UP, EntryKind.REFUND}


def entry(
    number: int,
    kind: EntryKind,
    wallet: WalletId,
    amount: int,
    after: int,
    *,
    version: int = 1,
    backwards: bool = False,
    **more: Any,
) -> LedgerEntry:
    mine, theirs = wallet_account(wallet), str(COUNTERPART[kind])
    inward = (kind in INWARD) is not backwards
    return LedgerEntry(
        id=EntryId(str(number)),
        kind=kind,
        debit=theirs if inward else mine,
        credit=mine if inward else theirs,
        amount=amount,
        wallet_id=wallet,
        wallet_version=version,
        balance_after=after,
        description="",
        created_at=NOW,
        **more,
    )


def captured(wallet: WalletId, *, refunded: int = 0) -> Settlement:
    return Settlement(
        hold_id=HoldId("h"),
        wallet_id=wallet,
        state=HoldState.CAPTURED,
        amount=1,
        captured=1,
        expires_at=NOW,
        charges=1,
        charged=1,
        interaction_id=InteractionId("i"),
        outcome=Outcome.COMPLETED,
        price=Price(per_reply=1),
        usage=Usage(),
        credits_charged=1,
        refunded=refunded,
        given_back=refunded,
        paid_by=wallet,
        promised=1,
    )


def differences(wallets: list[Wallet], entries: list[LedgerEntry], settlements: list[Settlement]) -> list[str]:
    return [found.rule for found in audit(wallets, entries, settlements, [], [], [], now=NOW, tally=Tally())]


def test_a_charge_that_gives_instead_of_taking_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 101, version=2, backwards=True, hold_id=HoldId("h")),
    ]
    assert differences([Wallet(id=ANN, posted=101, version=2)], entries, [captured(ANN)])


def test_a_charge_taken_from_another_wallet_than_its_hold_s_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.GRANT, BOB, 100, 100),
        entry(3, EntryKind.CHARGE, BOB, 1, 99, version=2, hold_id=HoldId("h")),
    ]
    wallets = [Wallet(id=ANN, posted=100, version=1), Wallet(id=BOB, posted=99, version=2)]
    assert differences(wallets, entries, [captured(ANN)])


def test_a_refund_paid_to_another_wallet_than_was_charged_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2, hold_id=HoldId("h")),
        entry(3, EntryKind.REFUND, BOB, 1, 1, hold_id=HoldId("h")),
    ]
    wallets = [Wallet(id=ANN, posted=99, version=2), Wallet(id=BOB, posted=1, version=1)]
    assert differences(wallets, entries, [captured(ANN, refunded=1)])


def test_a_top_up_that_no_payment_stands_behind_is_a_difference() -> None:
    entries = [entry(1, EntryKind.TOP_UP, ANN, 500, 500)]
    assert differences([Wallet(id=ANN, posted=500, version=1)], entries, [])


def test_a_payment_that_was_credited_twice_is_a_difference() -> None:
    paid = PaymentId("p")
    entries = [
        entry(1, EntryKind.TOP_UP, ANN, 10, 10, payment_id=paid),
        entry(2, EntryKind.TOP_UP, ANN, 10, 20, version=2, payment_id=paid),
    ]
    assert differences([Wallet(id=ANN, posted=20, version=2)], entries, [])
