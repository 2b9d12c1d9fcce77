"""What a provider says of payments, in every order and any number of times."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from chatbill.application.billing.place_order import Order
from chatbill.application.ports.payments import Checkout
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.payments import Money, Payment, PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import PAYMENT, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Conflict, NotFound
from chatbill.domain.shared.ids import PaymentId
from tests.kit.billing import assert_books_agree
from tests.kit.support import World, world

CONFIRMED, FAILED, REFUNDED = PaymentStatus.CONFIRMED, PaymentStatus.FAILED, PaymentStatus.REFUNDED
NEXT = {
    PaymentStatus.PENDING: (CONFIRMED, FAILED),
    FAILED: (CONFIRMED,),
    CONFIRMED: (REFUNDED,),
    REFUNDED: (),
}
CREDITS = {PaymentStatus.PENDING: 100, FAILED: 100, CONFIRMED: 200, REFUNDED: 100}


class Elsewhere:
    """A provider that sends the person to another page, and events later."""

    name = "elsewhere"

    async def collect(self, payment: Payment) -> Checkout:
        return Checkout(url=f"https://pay.example/{payment.id}")


async def ordered() -> tuple[World, Principal, Payment]:
    """Alice with 100 credits and a pending payment for 100 more."""
    here = world(provider=Elsewhere())
    alice = await here.person()
    receipt = await here.use_cases.billing.place_order(alice, Order(package="small"))
    assert receipt.payment.status is PaymentStatus.PENDING
    return here, alice, receipt.payment


async def confirm(here: World, payment: Payment, status: PaymentStatus) -> Payment:
    """Take in an event of this status."""
    event = PaymentEvent(payment_id=payment.id, status=status, price=payment.price)
    return await here.use_cases.billing.confirm_payment(event)


async def posted(here: World, alice: Principal) -> int:
    return (await here.use_cases.billing.read_balance(alice)).posted


@pytest.mark.parametrize(
    "events",
    [events for length in (1, 2, 3, 4) for events in itertools.product((CONFIRMED, FAILED, REFUNDED), repeat=length)],
    ids=lambda events: "-".join(map(str, events)),
)
async def test_events_in_any_order_and_repeated_leave_what_they_allow(events: tuple[PaymentStatus, ...]) -> None:
    here, alice, payment = await ordered()
    expected = PaymentStatus.PENDING
    for status in events:
        here.clock.advance(1)
        if status is REFUNDED and expected in {PaymentStatus.PENDING, FAILED}:
            with pytest.raises(Conflict, match="refund_before_confirmation"):
                await confirm(here, payment, status)
            continue
        expected = status if status in NEXT[expected] else expected
        assert (await confirm(here, payment, status)).status is expected
        assert await posted(here, alice) == CREDITS[expected]
        await assert_books_agree(here)


async def test_a_confirmed_payment_adds_its_credits_once() -> None:
    here, alice, payment = await ordered()
    first = await confirm(here, payment, CONFIRMED)
    here.clock.advance(60)
    assert await confirm(here, payment, CONFIRMED) == first
    assert (first.balance_after, first.confirmed_at is not None, await posted(here, alice)) == (200, True, 200)
    newest = (await here.use_cases.billing.list_transactions(alice)).items[0]
    assert (newest.kind, newest.signed_amount) == (EntryKind.TOP_UP, 100)
    assert newest.cause.description == Description.of("top_up", package="small")


async def test_a_payment_that_failed_may_be_collected_after_all() -> None:
    here, alice, payment = await ordered()
    await confirm(here, payment, FAILED)
    assert await posted(here, alice) == 100
    assert (await confirm(here, payment, CONFIRMED)).status is CONFIRMED
    assert await posted(here, alice) == 200
    await assert_books_agree(here)


@pytest.mark.parametrize("status", [CONFIRMED, FAILED, REFUNDED])
async def test_money_that_differs_is_a_conflict_and_changes_nothing(status: PaymentStatus) -> None:
    here, alice, payment = await ordered()
    for price in (Money(Decimal("0.50"), "EUR"), Money(payment.price.amount, "USD")):
        with pytest.raises(Conflict):
            await here.use_cases.billing.confirm_payment(
                PaymentEvent(payment_id=payment.id, status=status, price=price)
            )
    stored = await here.store.read(lambda snapshot: snapshot.payments.get(payment.id))
    assert stored == payment
    assert await posted(here, alice) == 100


async def test_an_event_without_money_is_taken_as_it_is() -> None:
    here, alice, payment = await ordered()
    await here.use_cases.billing.confirm_payment(PaymentEvent(payment_id=payment.id, status=CONFIRMED))
    assert await posted(here, alice) == 200


async def test_an_unknown_payment_is_not_found() -> None:
    with pytest.raises(NotFound):
        await world().use_cases.billing.confirm_payment(PaymentEvent(payment_id=PaymentId("none"), status=CONFIRMED))


async def test_a_refund_of_credits_that_were_spent_leaves_a_debt() -> None:
    here, alice, payment = await ordered()
    await confirm(here, payment, CONFIRMED)
    subject, words = Subject("caption", "1"), Description.of("caption")
    async with here.use_cases.billing.charges.hold(alice.wallet_id, 150, words, subject, ttl_s=60):
        pass
    refunded = await confirm(here, payment, REFUNDED)
    wallet = await here.use_cases.billing.read_balance(alice)
    assert (refunded.status, refunded.refunded_at) == (REFUNDED, here.clock())
    assert (wallet.posted, wallet.available, wallet.overdraft) == (-50, -50, 50)
    newest = (await here.use_cases.billing.list_transactions(alice)).items[0]
    assert (newest.kind, newest.signed_amount) == (EntryKind.ADJUSTMENT, -100)
    assert (newest.cause.subject, newest.cause.author) == (Subject(PAYMENT, payment.id), None)
    await assert_books_agree(here)


async def test_a_refund_while_credits_are_held_lets_the_work_finish() -> None:
    here, alice, payment = await ordered()
    await confirm(here, payment, CONFIRMED)
    subject, words = Subject("caption", "1"), Description.of("caption")
    async with here.use_cases.billing.charges.hold(alice.wallet_id, 150, words, subject, ttl_s=60):
        await confirm(here, payment, REFUNDED)
    assert await posted(here, alice) == -50
    await assert_books_agree(here)
