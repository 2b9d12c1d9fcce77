"""How rows are sorted and filtered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from chatbill.application.ports.repositories.paging import Period, Position

T = TypeVar("T")


def newest(rows: Iterable[T], place: Callable[[T], tuple[datetime, str]], after: Position | None) -> list[T]:
    """Return the rows in the order of their place, newest first; only those before `after`."""
    ordered = sorted(rows, key=place, reverse=True)
    return ordered if after is None else [row for row in ordered if place(row) < (after.at, after.id)]


def within(moment: datetime, period: Period) -> bool:
    """Return whether a moment is in the period; its end is not."""
    return (period.start is None or moment >= period.start) and (period.end is None or moment < period.end)
