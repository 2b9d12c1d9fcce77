"""What an accountant would object to, and the audit names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatbill.domain.audit.proof import Tally, audit
from chatbill.domain.audit.rows import AuditInput, Ownership, Purchase, Settlement, UnreadableRow
from chatbill.domain.billing.holds import MAX_HOLD_S, HoldState
from chatbill.domain.billing.ledger import COUNTERPART, Cause, EntryKind, LedgerEntry, wallet_account
from chatbill.domain.billing.payments import PaymentStatus
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT, USER, Owner, Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import EntryId, HoldId, InteractionId, PaymentId, UserId, WalletId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = WalletId("ann"), WalletId("bob")
PAID, ASKED = Subject(PAYMENT, "p"), Subject(INTERACTION, "i")
CAUSES: dict[EntryKind, dict[str, Any]] = {
    EntryKind.GRANT: {},
    EntryKind.TOP_UP: {"subject": PAID},
    EntryKind.CHARGE: {"hold_id": HoldId("h"), "subject": ASKED},
    EntryKind.REFUND: {"hold_id": HoldId("h"), "subject": ASKED, "author": UserId("admin")},
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
        created_at=NOW,
        cause=Cause(description=Description.of("by_hand", reason="Sorry"), **CAUSES[kind] | more),
    )


def purse(id_: WalletId, **state: int) -> Wallet:
    return Wallet(id=id_, owner=Owner(USER, id_), **state)


def captured(wallet: WalletId, *, refunded: int = 0) -> Settlement:
    return Settlement(
        hold_id=HoldId("h"),
        wallet_id=wallet,
        subject=ASKED,
        state=HoldState.CAPTURED,
        amount=1,
        captured=1,
        expires_at=NOW,
        settled_at=NOW,
        created_at=NOW,
        charges=1,
        charged=1,
        charge_of=ASKED,
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
    wallets: list[Wallet],
    entries: Sequence[LedgerEntry | UnreadableRow],
    settlements: list[Settlement],
    **more: Any,
) -> list[str]:
    owners = [Ownership(wallet.id, UserId(wallet.id)) for wallet in wallets]
    rows: dict[str, Any] = {"wallets": wallets, "owners": owners, "entries": entries, "settlements": settlements}
    books = AuditInput(**rows | more)
    return [found.rule for found in audit(books, now=NOW, tally=Tally())]


def test_a_charge_that_gives_instead_of_taking_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 101, version=2, backwards=True),
    ]
    assert differences([purse(ANN, posted=101, version=2)], entries, [captured(ANN)]) == ["zero_sum"]


def test_a_charge_taken_from_another_wallet_than_its_hold_s_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.GRANT, BOB, 100, 100),
        entry(3, EntryKind.CHARGE, BOB, 1, 99, version=2),
    ]
    wallets = [purse(ANN, posted=100, version=1), purse(BOB, posted=99, version=2)]
    assert differences(wallets, entries, [captured(ANN)]) == ["capture"] * 2


def test_a_refund_paid_to_another_wallet_than_was_charged_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.GRANT, ANN, 100, 100),
        entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2),
        entry(3, EntryKind.REFUND, BOB, 1, 1),
    ]
    wallets = [purse(ANN, posted=99, version=2), purse(BOB, posted=1, version=1)]
    assert differences(wallets, entries, [captured(ANN, refunded=1)]) == ["refund"] * 2


def test_a_top_up_that_no_payment_stands_behind_is_a_difference() -> None:
    entries = [entry(1, EntryKind.TOP_UP, ANN, 500, 500)]
    assert differences([purse(ANN, posted=500, version=1)], entries, []) == ["purchase"]


def test_a_payment_that_was_credited_twice_is_a_difference() -> None:
    entries = [
        entry(1, EntryKind.TOP_UP, ANN, 10, 10),
        entry(2, EntryKind.TOP_UP, ANN, 10, 20, version=2),
    ]
    assert differences([purse(ANN, posted=20, version=2)], entries, []) == ["purchase"]


HONEST = [
    entry(1, EntryKind.GRANT, ANN, 100, 100),
    entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2),
]
ANNS = purse(ANN, posted=99, version=2)


def test_honest_books_have_no_difference() -> None:
    assert differences([ANNS], HONEST, [captured(ANN)]) == []


def test_a_request_paid_with_the_wallet_of_another_is_a_difference() -> None:
    theirs = captured(ANN)
    theirs.user_id = UserId("bob")
    assert differences([ANNS], HONEST, [theirs]) == ["owner"]


def test_a_charge_for_another_request_than_its_hold_s_is_a_difference() -> None:
    swapped = captured(ANN)
    swapped.charge_of = Subject(INTERACTION, "other")
    assert differences([ANNS], HONEST, [swapped]) == ["cause"]


def test_a_hold_for_no_request_is_a_difference_even_if_nothing_was_charged() -> None:
    alone = Settlement(
        hold_id=HoldId("x"),
        wallet_id=ANN,
        subject=Subject(INTERACTION, "x"),
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
    assert differences([purse(ANN, posted=-1, version=2, overdraft=overdraft)], entries, []) == expected


def test_a_row_that_cannot_be_read_is_a_difference_and_the_next_ones_are_read_as_ever() -> None:
    unreadable = UnreadableRow(
        table="ledger_entries", row_id="1", detail="", wallet_id=ANN, wallet_version=1, balance_after=100
    )
    assert differences([ANNS], [unreadable, HONEST[1]], [captured(ANN)]) == ["readable", "zero_sum"]


def test_a_wallet_of_another_owner_than_its_user_is_a_difference() -> None:
    theirs = Wallet(id=ANN, owner=Owner(USER, "bob"), posted=99, version=2)
    assert differences([theirs], HONEST, [captured(ANN)]) == ["owner"]


def test_a_wallet_that_no_user_has_though_it_names_one_is_a_difference() -> None:
    assert differences([purse(ANN)], [], [], owners=[]) == ["owner"]


def test_a_wallet_of_two_users_is_a_difference() -> None:
    owners = [Ownership(ANN, UserId("ann")), Ownership(ANN, UserId("bob"))]
    assert differences([purse(ANN)], [], [], owners=owners) == ["owner"]


def test_a_wallet_of_an_organization_needs_no_user() -> None:
    theirs = Wallet(id=ANN, owner=Owner("organization", "acme"))
    assert differences([theirs], [], [], owners=[]) == []
    assert differences([theirs], [], [], owners=[Ownership(ANN, UserId("ann"))]) == ["owner"]


def test_a_hold_for_another_kind_of_thing_needs_no_interaction() -> None:
    caption = captured(ANN)
    caption.subject = caption.charge_of = Subject("caption", "i")
    caption.interactions, caption.interaction_id, caption.outcome = 0, None, None
    entries = [HONEST[0], entry(2, EntryKind.CHARGE, ANN, 1, 99, version=2, subject=caption.subject)]
    assert differences([ANNS], entries, [caption]) == []
    caption.charge_of = Subject("caption", "another")
    assert differences([ANNS], entries, [caption]) == ["cause"]


def test_an_interaction_whose_hold_is_of_another_one_is_a_difference() -> None:
    swapped = captured(ANN)
    swapped.interaction_id = InteractionId("other")
    assert differences([ANNS], HONEST, [swapped]) == ["cause"]


RETURNED = [
    entry(1, EntryKind.TOP_UP, ANN, 10, 10),
    entry(2, EntryKind.ADJUSTMENT, ANN, 10, 0, version=2, author=None, subject=PAID),
]


def bought(**changes: Any) -> Purchase:
    """A payment of 10 credits that was confirmed and refunded."""
    fields: dict[str, Any] = {
        "payment_id": PaymentId("p"),
        "status": PaymentStatus.REFUNDED,
        "expected": 10,
        "balance_after": 10,
        "confirmed_at": NOW,
        "entries": 1,
        "credited": 10,
        "credited_balance": 10,
        "credited_at": NOW,
        "wallet_id": ANN,
        "own_wallet": ANN,
        "refunded_at": NOW,
        "returns": 1,
        "returned": 10,
        "returned_at": NOW,
    }
    return Purchase(**fields | changes)


def test_a_refunded_payment_whose_credits_were_taken_back_is_no_difference() -> None:
    wallet = purse(ANN, posted=0, version=2)
    assert differences([wallet], RETURNED, [], purchases=[bought()]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": PaymentStatus.CONFIRMED, "refunded_at": None},
        {"returned": 9},
        {"returned_at": NOW + timedelta(seconds=1)},
        {"refunded_at": NOW + timedelta(seconds=1)},
    ],
)
def test_credits_taken_back_of_a_payment_that_says_otherwise_are_a_difference(changes: dict[str, Any]) -> None:
    wallet = purse(ANN, posted=0, version=2)
    assert differences([wallet], RETURNED, [], purchases=[bought(**changes)]) == ["purchase"]


def test_a_refunded_payment_whose_credits_were_not_taken_back_is_a_difference() -> None:
    kept = bought(returns=0, returned=0, returned_at=None)
    wallet = purse(ANN, posted=10, version=1)
    assert differences([wallet], RETURNED[:1], [], purchases=[kept]) == ["purchase"]


def test_credits_taken_back_of_no_payment_are_a_difference() -> None:
    confirmed = bought(status=PaymentStatus.CONFIRMED, refunded_at=None, returns=0, returned=0, returned_at=None)
    wallet = purse(ANN, posted=0, version=2)
    assert differences([wallet], RETURNED, [], purchases=[confirmed]) == ["purchase"]


def test_a_payment_into_another_wallet_than_its_user_s_is_a_difference() -> None:
    wallet = purse(ANN, posted=0, version=2)
    assert differences([wallet], RETURNED, [], purchases=[bought(own_wallet=BOB)]) == ["owner"]


def test_an_adjustment_without_author_and_payment_is_a_difference() -> None:
    entries = [entry(1, EntryKind.ADJUSTMENT, ANN, 10, 10, backwards=True, author=None)]
    assert "cause" in differences([purse(ANN, posted=10, version=1)], entries, [])


def test_an_entry_by_hand_without_a_reason_is_a_difference() -> None:
    kept = entry(1, EntryKind.ADJUSTMENT, ANN, 10, 10, backwards=True)
    silent = replace(kept, cause=replace(kept.cause, description=Description.of("by_hand", reason=" ")))
    assert differences([purse(ANN, posted=10, version=1)], [silent], []) == ["cause"]


def test_an_unreadable_wallet_is_named_and_the_rest_is_read() -> None:
    broken = UnreadableRow(table="wallets", row_id="w-0", detail="no owner", wallet_id=WalletId("w-0"))
    rich = Wallet(id=WalletId("w-1"), owner=Owner("customer", "ann"), posted=999, version=0)
    found = audit(AuditInput(wallets=[broken, rich]), now=NOW, tally=Tally())
    assert [difference.rule for difference in found] == ["readable", "replay", "zero_sum"]
