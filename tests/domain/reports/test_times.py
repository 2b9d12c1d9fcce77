"""Times of requests, and their percentiles."""

from __future__ import annotations

import json
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.reports import times
from chatbill.domain.reports.times import Times, code_of, time_of

SHORT = st.lists(st.integers(0, 300), max_size=60)
ANY = st.integers(0, 86_400_000)
PARTS = (1, 50, 95, 99, 100)


@given(ANY)
def test_a_time_is_kept_to_three_digits(milliseconds: int) -> None:
    kept = time_of(code_of(milliseconds))
    assert abs(kept - milliseconds) <= milliseconds * 0.005
    assert code_of(kept) == code_of(milliseconds) < times.MOST


@given(ANY, ANY)
def test_longer_times_have_higher_numbers(one: int, other: int) -> None:
    shorter, longer = sorted([one, other])
    assert code_of(shorter) <= code_of(longer)


def test_a_time_without_end_has_the_highest_number() -> None:
    assert code_of(10**90) == times.MOST


@given(SHORT)
def test_a_percentile_is_the_time_of_its_nearest_rank(milliseconds: list[int]) -> None:
    ordered = sorted(milliseconds)
    exact = tuple(ordered[ceil(part * len(ordered) / 100) - 1] if ordered else None for part in PARTS)
    kept, read = Times(milliseconds), Times()
    read.add_dumped(*kept.dumps())
    assert kept.percentiles(*PARTS) == read.percentiles(*PARTS) == exact


@given(st.lists(SHORT, max_size=5))
def test_sums_of_times_are_those_of_all_together(parts: list[list[int]]) -> None:
    total = Times()
    for part in parts:
        total.add_dumped(*json.loads(json.dumps(Times(part).dumps())))
    together = Times(each for part in parts for each in part)
    assert total.dumps() == together.dumps()
    assert total.percentiles(*PARTS) == together.percentiles(*PARTS)


def test_very_many_times_are_counted() -> None:
    many = Times()
    for number in range(1_000 * (times.MOST_LISTED // 1_000 + 2)):
        many.add(number // 10 % 100 + 1)
    assert many.percentiles(*PARTS) == PARTS
    again = Times()
    again.add_dumped(*many.dumps())
    assert again.dumps() == many.dumps()
