"""Times of many requests, kept so that they are added up fast and with little memory."""

from __future__ import annotations

import sys
from array import array
from binascii import a2b_base64, b2a_base64
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

DIGITS: Final = 3
"""Times are kept to three digits, so percentiles differ from the exact ones by at most 0.5 percent."""
EXACT: Final = 10**DIGITS
STEPS: Final = EXACT - EXACT // 10
"""How many times of three digits there are for each further digit."""
MOST: Final = 2**16 - 1
MOST_LISTED: Final = 50_000
RARE: Final = 8
"""How often a time may occur that is still listed, in what is stored."""


def code_of(milliseconds: int) -> int:
    """Return the number of a time, rounded to three digits, half up: longer times have higher numbers.

    Times below 1,000 are their own numbers, and each further digit has 900 numbers.
    """
    if milliseconds < EXACT:
        return max(0, milliseconds)
    further = len(str(milliseconds)) - DIGITS
    digits = (milliseconds + 10**further // 2) // 10**further
    return int(min(EXACT + (further - 1) * STEPS + digits - EXACT // 10, MOST))


def time_of(code: int) -> int:
    """Return the time with a number, in milliseconds."""
    if code < EXACT:
        return code
    further, digits = divmod(code - EXACT, STEPS)
    return int((digits + EXACT // 10) * 10 ** (further + 1))


class Times:
    """Counts times. Those that are rare are a list of numbers of two bytes, and those that are frequent are counted.

    Adding to a list and sorting it take a fraction of the time of counting.
    """

    __slots__ = ("_counts", "_listed")

    def __init__(self, milliseconds: Iterable[int] = ()) -> None:
        self._listed = array("H", map(code_of, milliseconds))
        self._counts: Counter[int] = Counter()

    def add(self, milliseconds: int) -> None:
        """Count one more time."""
        self._listed.append(code_of(milliseconds))
        if len(self._listed) > MOST_LISTED:
            self._count_listed()

    def dumps(self) -> list[Any]:
        """Return the times for JSON: the rare ones, each as often as it occurs, the frequent ones, and their counts."""
        counts = self._counted()
        rare = sorted(code for code, count in counts.items() if count <= RARE for _ in range(count))
        frequent = sorted(code for code, count in counts.items() if count > RARE)
        return [_packed(rare), _packed(frequent), [counts[code] for code in frequent]]

    def add_dumped(self, rare: str, frequent: str, counts: list[int]) -> None:
        """Count the times that another one has dumped."""
        self._listed.frombytes(_bytes_of(rare))
        if frequent:
            for code, count in zip(array("H", _bytes_of(frequent)), counts, strict=True):
                self._counts[code] += count
        if len(self._listed) > MOST_LISTED:
            self._count_listed()

    def percentiles(self, *parts: int) -> tuple[int | None, ...]:
        """Return for each part the smallest time that at least `part` percent do not exceed; None without times."""
        if not self._listed and not self._counts:
            return (None,) * len(parts)
        if not self._counts:
            ordered = sorted(self._listed)
            return tuple(time_of(ordered[-(-part * len(ordered) // 100) - 1]) for part in parts)
        counts = self._counted()
        codes = sorted(counts)
        up_to = list(accumulate(map(counts.__getitem__, codes)))
        return tuple(time_of(codes[bisect_left(up_to, -(-part * up_to[-1] // 100))]) for part in parts)

    def _counted(self) -> Counter[int]:
        counts = Counter(self._listed)
        counts.update(self._counts)
        return counts

    def _count_listed(self) -> None:
        """Count a list that has become long."""
        self._counts.update(self._listed)
        self._listed = array("H")


def _packed(codes: list[int]) -> str:
    return b2a_base64(_little_endian(array("H", codes)).tobytes(), newline=False).decode()


def _bytes_of(text: str) -> bytes:
    raw = a2b_base64(text)
    return raw if sys.byteorder == "little" else _little_endian(array("H", raw)).tobytes()


def _little_endian(codes: array[int]) -> array[int]:
    if sys.byteorder == "big":
        codes.byteswap()
    return codes
