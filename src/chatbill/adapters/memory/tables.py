"""Tables in memory, and the changes that one transaction lays over them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from chatbill.domain.shared.errors import InvariantViolation

K = TypeVar("K")
V = TypeVar("V")

Rule = Callable[[V | None, V], None]
"""Raises `InvariantViolation` for a row that may not be put over an old one, which is None for a new row."""


class Table(Generic[K, V]):
    """Rows by key, with uncommitted changes over them. What goes in and comes out is a copy, unless it is frozen."""

    def __init__(self, rule: Rule[V] | None = None) -> None:
        self._rule = rule
        self._kept: dict[K, V] = {}
        self._changed: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        """Return the row as this transaction sees it."""
        row = self._changed[key] if key in self._changed else self._kept.get(key)
        return None if row is None else _copy(row)

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row. Raises `InvariantViolation`."""
        _require_time_zones(row)
        if self._rule is not None:
            self._rule(self.get(key), row)
        self._changed[key] = _copy(row)

    def insert(self, key: K, row: V) -> None:
        """Put a new row. Raises `InvariantViolation`, also where there is one of its key."""
        if self.get(key) is not None:
            raise InvariantViolation(f"{type(row).__name__} {key} exists already")
        self.put(key, row)

    def replace(self, key: K, row: V) -> None:
        """Put a row over the one of its key. Raises `InvariantViolation`, also where there is none."""
        if self.get(key) is None:
            raise InvariantViolation(f"{type(row).__name__} {key} does not exist")
        self.put(key, row)

    def remove(self, key: K) -> None:
        """Delete a row, if it is there."""
        self._changed[key] = None

    def rows(self) -> Iterator[V]:
        """Return all rows, in the order in which they were first kept."""
        return (row for _, row in self.items())

    def items(self) -> Iterator[tuple[K, V]]:
        """Return all keys and rows, in the order in which they were first kept."""
        for key, row in self._kept.items():
            if key not in self._changed:
                yield key, _copy(row)
        for key, changed in self._changed.items():
            if changed is not None:
                yield key, _copy(changed)

    def commit(self) -> None:
        """Keep the changes."""
        for key, row in self._changed.items():
            if row is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = row
        self._changed.clear()

    def roll_back(self) -> None:
        """Drop the changes."""
        self._changed.clear()


def _copy(row: V) -> V:
    kind: Any = type(row)
    return row if _is_frozen(kind) else copy.copy(row)


@cache
def _is_frozen(kind: Any) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(parameters and parameters.frozen)


@cache
def _moments(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass that hold moments."""
    if not hasattr(kind, "__dataclass_fields__"):
        return ()
    return tuple(each.name for each in fields(kind) if "datetime" in str(each.type))


def _require_time_zones(row: object) -> None:
    kind: Any = type(row)
    for name in _moments(kind):
        moment: datetime | None = getattr(row, name)
        if moment is not None and moment.tzinfo is None:
            raise InvariantViolation(f"{type(row).__name__}.{name} is {moment}, without a time zone")
