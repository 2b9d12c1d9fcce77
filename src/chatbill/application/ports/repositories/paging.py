"""Periods and positions by which lists are filtered and paged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
