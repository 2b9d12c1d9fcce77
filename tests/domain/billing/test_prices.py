"""Prices are whole credits, rounded up once, and never fall when usage grows."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.interactions import Outcome, due_for
from chatbill.domain.shared.errors import InvariantViolation

AMOUNTS = st.integers(min_value=0, max_value=10_000)
PRICES = st.builds(Price, per_reply=AMOUNTS, per_1k_prompt_tokens=AMOUNTS, per_1k_completion_tokens=AMOUNTS)
USAGES = st.builds(Usage, prompt_tokens=AMOUNTS, completion_tokens=AMOUNTS)


def test_a_flat_price_does_not_look_at_tokens() -> None:
    assert Price(per_reply=3).of(Usage(prompt_tokens=9_999, completion_tokens=9_999)) == 3


@pytest.mark.parametrize(("tokens", "due"), [(0, 1), (1, 2), (1_000, 3), (1_001, 4)])
def test_a_token_part_is_rounded_up(tokens: int, due: int) -> None:
    assert Price(per_reply=1, per_1k_completion_tokens=2).of(Usage(completion_tokens=tokens)) == due


def test_both_token_parts_are_rounded_up_together() -> None:
    price = Price(per_reply=0, per_1k_prompt_tokens=1, per_1k_completion_tokens=1)
    assert price.of(Usage(prompt_tokens=500, completion_tokens=500)) == 1


@given(price=PRICES, usage=USAGES)
def test_a_price_is_the_exact_fraction_rounded_up_once(price: Price, usage: Usage) -> None:
    exact = (
        price.per_reply
        + Fraction(price.per_1k_prompt_tokens * usage.prompt_tokens, 1_000)
        + Fraction(price.per_1k_completion_tokens * usage.completion_tokens, 1_000)
    )
    assert price.of(usage) == ceil(exact)


@given(price=PRICES, usage=USAGES, more=USAGES)
def test_a_price_never_falls_when_usage_grows(price: Price, usage: Usage, more: Usage) -> None:
    grown = Usage(
        prompt_tokens=usage.prompt_tokens + more.prompt_tokens,
        completion_tokens=usage.completion_tokens + more.completion_tokens,
    )
    assert price.of(grown) >= price.of(usage)


def test_a_negative_price_is_a_bug() -> None:
    with pytest.raises(InvariantViolation):
        Price(per_reply=-1)


@pytest.mark.parametrize(
    ("outcome", "tokens", "due"),
    [
        (Outcome.COMPLETED, 5, 3),
        (Outcome.COMPLETED, 0, 3),
        (Outcome.STOPPED, 5, 3),
        (Outcome.STOPPED, 0, 0),
        (Outcome.FAILED, 5, 0),
        (Outcome.TIMED_OUT, 5, 0),
        (Outcome.INTERRUPTED, 5, 0),
    ],
)
def test_only_replies_and_stops_after_the_first_token_cost_anything(outcome: Outcome, tokens: int, due: int) -> None:
    assert due_for(Price(per_reply=3), outcome, Usage(prompt_tokens=4, completion_tokens=tokens)) == due
