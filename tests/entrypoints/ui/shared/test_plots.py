from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatbill.entrypoints.ui.shared.plots import HEIGHT, LEAST, bars, round_up


def test_bars_have_heights_in_proportion_to_a_round_top() -> None:
    plot = bars([("a", 0), ("b", 4), ("c", 16)])
    assert plot.top == 20
    assert [(bar.x, bar.y, bar.height) for bar in plot.bars] == [(0, 100, 0), (1, 80, 20), (2, 20, 80)]


def test_without_values_there_is_a_plot_of_nothing() -> None:
    assert (bars([]).width, bars([]).bars, bars([("a", 0)]).top) == (1, [], 1)


@given(st.lists(st.integers(-5, 10**15)))
@example([491, 10_001])
def test_every_bar_is_within_the_plot_and_seen_if_it_is_not_zero(values: list[int]) -> None:
    for bar, value in zip(bars([("", value) for value in values]).bars, values, strict=True):
        assert 0 <= bar.y <= HEIGHT
        assert bar.y + bar.height == pytest.approx(HEIGHT)
        assert bar.height >= LEAST if value > 0 else bar.height == 0


@pytest.mark.parametrize(
    ("value", "rounded"), [(0, 1), (1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (101, 200), (10**15, 10**15)]
)
def test_the_top_is_the_next_of_one_two_five_and_their_tens(value: int, rounded: int) -> None:
    assert round_up(value) == rounded
