"""Plots: the geometry of bars, which templates draw as SVG. Their texts are HTML, so that they keep their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 100
LEAST: Final = 1.5
"""The height of the smallest bar that is not zero, so that it is seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot. Each has a width of 1; `y` counts from the top."""

    x: int
    y: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars beside each other; `top` is the value of the upper edge."""

    bars: list[Bar]
    top: int

    @property
    def width(self) -> int:
        """Return the width in bars."""
        return max(1, len(self.bars))


def bars(values: Sequence[tuple[str, int]]) -> Plot:
    """Return the plot of values with their texts. Values below 0 are drawn as 0."""
    top = round_up(max((value for _, value in values), default=0))
    found = []
    for number, (text, value) in enumerate(values):
        height = round(max(LEAST, value * HEIGHT / top), 2) if value > 0 else 0.0
        found.append(Bar(number, round(HEIGHT - height, 2), height, text))
    return Plot(found, top)


def round_up(value: int) -> int:
    """Return the next of 1, 2, 5, 10, 20, 50 and so on."""
    scale = 1
    while True:
        for step in (1, 2, 5):
            if value <= step * scale:
                return step * scale
        scale *= 10
