"""The figures of use, and their percentiles."""

from __future__ import annotations

import json
from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.reports.usage import UsageFigures, percentiles

TIMES = st.lists(st.integers(1, 300), max_size=60)


def figures(times: list[int], first: list[int]) -> UsageFigures:
    return UsageFigures(
        outcomes=Counter({"completed": len(times)} if times else {}),
        prompt_tokens=sum(first),
        latencies=Counter(times),
        first_tokens=Counter(first),
    )


@given(TIMES)
def test_a_percentile_is_the_time_of_its_nearest_rank(times: list[int]) -> None:
    ordered = sorted(times)
    exact = [ordered[ceil(part * len(times) / 100) - 1] if times else None for part in (1, 50, 95, 99, 100)]
    assert list(percentiles(Counter(times), 1, 50, 95, 99, 100)) == exact


@given(st.lists(st.tuples(TIMES, TIMES), max_size=5))
def test_sums_of_texts_are_the_sums_of_all_times(parts: list[tuple[list[int], list[int]]]) -> None:
    total = UsageFigures()
    for times, first in parts:
        total.add_values(json.loads(figures(times, first).dumps()))
    together = figures([each for times, _ in parts for each in times], [each for _, first in parts for each in first])
    assert total == together
    assert total.dumps() == together.dumps()
    assert total.summary() == together.summary()
