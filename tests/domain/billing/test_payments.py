"""Money is never rounded to nothing."""

from __future__ import annotations

from decimal import Decimal

from chatbill.domain.billing.payments import Money, PriceList


def test_credits_that_have_a_price_are_never_sold_for_nothing() -> None:
    prices = PriceList(packages=(), unit_price=Money(Decimal("0.004"), "EUR"))
    assert prices.amount(1).price.amount > 0
