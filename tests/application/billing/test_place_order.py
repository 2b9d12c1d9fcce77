"""Buying credits: once for each payment, whatever is repeated or breaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.billing.place_order import Order
from chatbill.application.ports.payments import Checkout
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.billing.payments import Payment, PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import PAYMENT, Subject
from chatbill.domain.shared.errors import Forbidden, IdempotencyMismatch, InvalidRequest, RateLimited
from tests.kit.support import PRICES, World, world


class Hosted:
    """A provider that breaks at first, then wants the person to pay elsewhere, then has the money."""

    name = "hosted"

    def __init__(self) -> None:
        self.answers: list[Checkout | Exception] = []
        self.asked: list[str] = []

    async def collect(self, payment: Payment) -> Checkout:
        self.asked.append(payment.id)
        await asyncio.sleep(0)
        paid = PaymentEvent(payment_id=payment.id, status=PaymentStatus.CONFIRMED, price=payment.price)
        answer = self.answers.pop(0) if self.answers else Checkout(event=paid)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_package_adds_its_credits_and_an_entry() -> None:
    here = world()
    alice = await here.person()
    receipt = await here.use_cases.billing.place_order(alice, Order(package="small"))
    assert (receipt.payment.status, receipt.payment.credits, receipt.payment.balance_after) == (
        PaymentStatus.CONFIRMED,
        100,
        200,
    )
    newest = (await here.use_cases.billing.list_transactions(alice)).items[0]
    assert (newest.kind, newest.signed_amount) == ("top_up", 100)
    assert newest.cause.subject == Subject(PAYMENT, receipt.payment.id)
    assert (await here.use_cases.audit.verify_ledger(print)).agrees


async def test_an_amount_of_ones_own_is_priced_by_the_credit() -> None:
    here = world()
    receipt = await here.use_cases.billing.place_order(await here.person(), Order(amount=250))
    assert (receipt.payment.credits, str(receipt.payment.price.amount)) == (250, "2.50")


@pytest.mark.parametrize(
    "order",
    [
        Order(),
        Order(package="small", amount=1),
        Order(package="huge"),
        Order(amount=0),
        Order(amount=-5),
        Order(amount=10**9),
        Order(package="small", idempotency_key=""),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(order: Order) -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvalidRequest):
        await here.use_cases.billing.place_order(alice, order)
    assert (await here.use_cases.billing.read_balance(alice)).posted == 100


async def test_a_double_click_adds_credits_once_and_gives_the_same_receipt() -> None:
    here = world(provider=Hosted())
    alice = await here.person()
    order = Order(package="small", idempotency_key="click")
    receipts = await asyncio.gather(*(here.use_cases.billing.place_order(alice, order) for _ in range(20)))
    receipts.append(await here.use_cases.billing.place_order(alice, order))
    assert all(receipt == receipts[0] for receipt in receipts)
    assert (await here.use_cases.billing.read_balance(alice)).posted == 200


async def test_the_same_key_with_another_order_is_refused() -> None:
    here = world()
    alice = await here.person()
    await here.use_cases.billing.place_order(alice, Order(package="small", idempotency_key="key"))
    with pytest.raises(IdempotencyMismatch):
        await here.use_cases.billing.place_order(alice, Order(amount=5, idempotency_key="key"))


async def test_a_provider_that_broke_is_asked_again_about_the_same_payment() -> None:
    provider = Hosted()
    provider.answers = [ConnectionError("lost"), Checkout(url="https://pay.example/1")]
    here = world(provider=provider)
    alice = await here.person()
    order = Order(package="small", idempotency_key="key")
    with pytest.raises(ConnectionError):
        await here.use_cases.billing.place_order(alice, order)
    pending = await here.use_cases.billing.place_order(alice, order)
    assert (pending.payment.status, pending.checkout_url) == (PaymentStatus.PENDING, "https://pay.example/1")
    assert (await here.use_cases.billing.read_balance(alice)).posted == 100
    confirmed = await here.use_cases.billing.place_order(alice, order)
    assert confirmed.payment.status is PaymentStatus.CONFIRMED
    assert len(set(provider.asked)) == 1
    assert (await here.use_cases.billing.read_balance(alice)).posted == 200


@pytest.mark.parametrize("here", [world(sells=False), world(prices=replace(PRICES, packages=()))])
@pytest.mark.parametrize("order", [Order(package="small"), Order(amount=5), Order(amount=5, idempotency_key="key")])
async def test_without_a_provider_or_a_package_no_credits_are_sold(here: World, order: Order) -> None:
    alice = await here.person(f"alice-{order.package}-{order.idempotency_key}")
    with pytest.raises(Forbidden) as refused:
        await here.use_cases.billing.place_order(alice, order)
    assert refused.value.description.code == "credits_not_sold"
    assert here.use_cases.billing.list_packages().packages == ()
    assert (await here.use_cases.billing.read_balance(alice)).posted == 100


async def test_one_person_buys_a_limited_number_of_times_and_a_repeated_order_does_not_count() -> None:
    here = world(rate_limits=MovingWindowRateLimits(), top_ups=Limit(name="top-ups", times=2, window_s=60))
    alice, bob = await here.person(), await here.person("bob")
    once = Order(amount=5, idempotency_key="key")
    for order in (once, once, once, Order(amount=5)):
        await here.use_cases.billing.place_order(alice, order)
    with pytest.raises(RateLimited):
        await here.use_cases.billing.place_order(alice, Order(amount=5))
    await here.use_cases.billing.place_order(alice, once)
    await here.use_cases.billing.place_order(bob, Order(amount=5))
    assert (await here.use_cases.billing.read_balance(alice)).posted == 110


async def test_repetitions_at_the_same_moment_count_once() -> None:
    here = world(rate_limits=MovingWindowRateLimits(), top_ups=Limit(name="top-ups", times=1, window_s=60))
    alice, place = await here.person(), here.use_cases.billing.place_order
    click, second = Order(amount=5, idempotency_key="click"), Order(amount=5, idempotency_key="second")
    receipts = await asyncio.gather(*(place(alice, click) for _ in range(5)))
    assert all(receipt == receipts[0] for receipt in receipts)
    refused = await asyncio.gather(*(place(alice, second) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, RateLimited) for error in refused)
    assert (await here.use_cases.billing.read_balance(alice)).posted == 105
