"""Lists in pages: opaque cursors that say where the last page ended."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from chatbill.application.ports.repositories.paging import Position, fitting
from chatbill.domain.shared.errors import InvalidRequest

MAX_PAGE = 100
MAX_PAGE_BYTES = 262_144
"""The most bytes of texts in a page with more than one item, so that no answer takes long to make or to read."""
DEFAULT_PAGE = 20
MAX_ID_CHARS = 64
MAX_DIGITS = 18

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the cursor of the next page (None at the end)."""

    items: list[T]
    next_cursor: str | None


def checked_limit(limit: int) -> int:
    """Return the number of items asked for, 1 to 100."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest.of("limit", "out_of_range", min=1, max=MAX_PAGE)
    return limit


def page_of(
    rows: list[T], limit: int, cursor_of: Callable[[T], str], size_of: Callable[[T], int] = lambda _: 0
) -> Page[T]:
    """Return the page from at most `limit + 1` rows: the extra row only shows that there are more.

    Rows with texts have a size in bytes. A page of more than `MAX_PAGE_BYTES` has one row.
    """
    items = list(fitting(rows[:limit], MAX_PAGE_BYTES, size_of))
    return Page(items, cursor_of(items[-1]) if len(rows) > len(items) and items else None)


def encode_position(at: datetime, item_id: str) -> str:
    """Return a cursor for a list sorted by time and id."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{item_id}".encode()).decode().rstrip("=")


def decode_position(cursor: str | None) -> Position | None:
    """Return the place that a cursor stands for; raises `InvalidRequest` for one that was not made here."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        at, _, item_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("|")
        moment = datetime.fromisoformat(at)
        # A moment of the year 1 can lie before all time in UTC, where stores compare.
        position = Position(moment.astimezone(UTC), item_id)
    except (ValueError, OverflowError) as error:
        raise bad_cursor() from error
    if moment.tzinfo is None or not 0 < len(item_id) <= MAX_ID_CHARS or "\x00" in item_id:
        raise bad_cursor()
    return position


def encode_version(version: int) -> str:
    """Return a cursor for a list numbered from 1."""
    return str(version)


def decode_version(cursor: str | None) -> int | None:
    """Return the number that a cursor stands for; raises `InvalidRequest` for one that was not made here."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_DIGITS):
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> InvalidRequest:
    """Return the error for a cursor that was not made here."""
    return InvalidRequest.of("cursor", "unknown_cursor")
