"""Tables in memory, and the changes that one transaction lays over them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """Rows by key, with uncommitted changes over them. What goes in and comes out is a copy."""

    def __init__(self) -> None:
        self._kept: dict[K, V] = {}
        self._changed: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        """The row as this transaction sees it."""
        row = self._changed[key] if key in self._changed else self._kept.get(key)
        return copy.copy(row) if row is not None else None

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row."""
        self._changed[key] = copy.copy(row)

    def remove(self, key: K) -> None:
        """Delete a row, if it is there."""
        self._changed[key] = None

    def rows(self) -> Iterator[V]:
        """All rows, in the order they were first kept."""
        for key, row in self._kept.items():
            if key not in self._changed:
                yield copy.copy(row)
        for changed in self._changed.values():
            if changed is not None:
                yield copy.copy(changed)

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
