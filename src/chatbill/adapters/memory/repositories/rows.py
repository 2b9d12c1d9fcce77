"""How rows are put into tables, and found in them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.shared.errors import InvariantViolation

T = TypeVar("T")


def insert(table: Table[str, T], key: str, row: T) -> None:
    """Put a new row. Raises `InvariantViolation` where there is one of its key."""
    if table.get(key) is not None:
        raise InvariantViolation(f"{type(row).__name__} {key} exists already")
    table.put(key, row)


def replace(table: Table[str, T], key: str, row: T) -> None:
    """Put a row over the one of its key. Raises `InvariantViolation` where there is none."""
    if table.get(key) is None:
        raise InvariantViolation(f"{type(row).__name__} {key} does not exist")
    table.put(key, row)


def newest(rows: Iterable[T], place: Callable[[T], tuple[datetime, str]], after: Position | None) -> list[T]:
    """The rows in the order of their place, newest first; only those before `after`."""
    ordered = sorted(rows, key=place, reverse=True)
    return ordered if after is None else [row for row in ordered if place(row) < (after.at, after.id)]


def within(moment: datetime, period: Period) -> bool:
    """Whether a moment is in the period; its end is not."""
    return (period.start is None or moment >= period.start) and (period.end is None or moment < period.end)
