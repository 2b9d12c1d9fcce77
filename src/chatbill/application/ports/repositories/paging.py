"""Periods and positions by which lists are filtered and paged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Moments from `start` (included) to `end` (left out); None is open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is sorted by time and then by id."""

    at: datetime
    id: str


def fitting(items: Iterable[T], max_bytes: int, size_of: Callable[[T], int]) -> Iterator[T]:
    """Yield the items that have at most `max_bytes` together, but always the first."""
    total = 0
    for number, item in enumerate(items):
        total += size_of(item)
        if number and total > max_bytes:
            return
        yield item


def fitting_and_next(items: Iterable[T], max_bytes: int, size_of: Callable[[T], int]) -> Iterator[T]:
    """Yield the same items and one more, which shows that the list goes on."""
    total = 0
    for number, item in enumerate(items):
        yield item
        total += size_of(item)
        if number and total > max_bytes:
            return
