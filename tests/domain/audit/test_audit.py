"""What an accountant would object to, and the audit names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatbill.domain.audit.proof import Tally, audit
from chatbill.domain.audit.rows import AuditInput, Ownership, Settlement, UnreadableRow
from chatbill.domain.billing.holds import MAX_HOLD_S, HoldState
from chatbill.domain.billing.ledger import COUNTERPART, EntryKind, LedgerEntry, wallet_account
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import EntryId, HoldId, InteractionId, PaymentId, UserId, WalletId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = WalletId("ann"), WalletId("bob")
CAUSES: dict[EntryKind, dict[str, Any]] = {
    EntryKind.GRANT: {},
    EntryKind.TOP_UP: {"payment_id": PaymentId("p")},
    EntryKind.CHARGE: {"hold_id": HoldId("h"), "interaction_id": InteractionId("i")},
    EntryKind.REFUND: {"hold_id": HoldId("h"), "interaction_id": InteractionId("i"), "author": UserId("admin")},
    EntryKind.ADJUSTMENT: {"author": UserId("admin")},
}
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
        description="Sorry",
        created_at=NOW,
        **CAUSES[kind] | more,
    )


def captured(wallet: WalletId, *, refunded: int = 0) -> Settlement:
    return Settlement(
        hold_id=HoldId("h"),
        wallet_id=wallet,
        state=HoldState.CAPTURED,
        amount=1,
        captured=1,
        expires_at=NOW,
        settled_at=NOW,
        created_at=NOW,
        charges=1,
        charged=1,
        charge_of=InteractionId("i"),
        charged_at=NOW,
        charged_balance=99,
        interactions=1,
        user_id=UserId(wallet),
        asked_at=NOW,
        finished_at=NOW,
        balance_after=99,
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


def differences(
    wallets: list[Wallet], entries: Sequence[LedgerEntry | UnreadableRow], settlements: list[Settlement]
) -> list[str]:
    owners = [Ownership(wallet.id, UserId(wallet.id)) for wallet in wallets]
    books = AuditInput(wallets=wallets, owners=owners, entries=entries, settlements=settlements)
    return [found.rule for found in audit(books, now=NOW, tally=Tally())]


def test_a_charge_that_gives_instead_of_taking_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 101, version=2, backwards=True),
    ]
    assert differences([Wallet(id=ANN, posted=101, version=2)], entries, [captured(ANN)]) == ["zero_sum"]


def test_a_charge_taken_from_another_wallet_than_its_hold_s_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.GRANT, BOB, 100, 100),
        entry(3, EntryKind.CHARGE, BOB, 1, 99, version=2),
    ]
    wallets = [Wallet(id=ANN, posted=100, version=1), Wallet(id=BOB, posted=99, version=2)]
    assert differences(wallets, entries, [captured(ANN)]) == ["capture"] * 2


def test_a_refund_paid_to_another_wallet_than_was_charged_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2),
        entry(3, EntryKind.REFUND, BOB, 1, 1),
    ]
    wallets = [Wallet(id=ANN, posted=99, version=2), Wallet(id=BOB, posted=1, version=1)]
    assert differences(wallets, entries, [captured(ANN, refunded=1)]) == ["refund"] * 2


def test_a_top_up_that_no_payment_stands_behind_is_a_difference() -> None:
    entries = [entry(1, EntryKind.TOP_UP, ANN, 500, 500)]
    assert differences([Wallet(id=ANN, posted=500, version=1)], entries, []) == ["purchase"]


def test_a_payment_that_was_credited_twice_is_a_difference() -> None:
    paid = PaymentId("p")
    entries = [
        entry(1, EntryKind.TOP_UP, ANN, 10, 10, payment_id=paid),
        entry(2, EntryKind.TOP_UP, ANN, 10, 20, version=2, payment_id=paid),
    ]
    assert differences([Wallet(id=ANN, posted=20, version=2)], entries, []) == ["purchase"]


HONEST = [
    entry(1, EntryKind.GRANT, ANN, 100, 100),
    entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2),
]
ANNS = Wallet(id=ANN, posted=99, version=2)


def test_honest_books_have_no_difference() -> None:
    assert differences([ANNS], HONEST, [captured(ANN)]) == []


def test_a_request_paid_with_the_wallet_of_another_is_a_difference() -> None:
    theirs = captured(ANN)
    theirs.user_id = UserId("bob")
    assert differences([ANNS], HONEST, [theirs]) == ["owner"]


def test_a_charge_for_another_request_than_its_hold_s_is_a_difference() -> None:
    swapped = captured(ANN)
    swapped.charge_of = InteractionId("other")
    assert differences([ANNS], HONEST, [swapped]) == ["cause"]


def test_a_hold_for_no_request_is_a_difference_even_if_nothing_was_charged() -> None:
    alone = Settlement(
        hold_id=HoldId("x"),
        wallet_id=ANN,
        state=HoldState.RELEASED,
        amount=1,
        captured=0,
        created_at=NOW,
        expires_at=NOW,
        settled_at=NOW,
    )
    assert differences([ANNS], HONEST, [captured(ANN), alone]) == ["price"]


@pytest.mark.parametrize("seconds", [-1, MAX_HOLD_S + 1])
def test_a_hold_that_was_to_end_before_it_began_or_after_its_time_is_a_difference(seconds: int) -> None:
    lasting = captured(ANN)
    lasting.expires_at = NOW + timedelta(seconds=seconds)
    assert differences([ANNS], HONEST, [lasting]) == ["expiry"]


@pytest.mark.parametrize(("overdraft", "expected"), [(0, ["available"] * 2), (1, []), (101, []), (102, ["available"])])
def test_a_debt_is_what_adjustments_can_have_allowed(overdraft: int, expected: list[str]) -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.ADJUSTMENT, ANN, 101, -1, version=2),
    ]
    assert differences([Wallet(id=ANN, posted=-1, version=2, overdraft=overdraft)], entries, []) == expected


def test_a_row_that_cannot_be_read_is_a_difference_and_the_next_ones_are_read_as_ever() -> None:
    unreadable = UnreadableRow(
        table="ledger_entries", row_id="1", detail="", wallet_id=ANN, wallet_version=1, balance_after=100
    )
    assert differences([ANNS], [unreadable, HONEST[1]], [captured(ANN)]) == ["readable", "zero_sum"]
