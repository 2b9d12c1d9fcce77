"""Read the figures of a period from roll-ups, and from raw rows at its edges and on days that are not rolled up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from chatbill.application.ports.repositories.reports import ReportReader, RollUpRow
from chatbill.application.reports.series import DUE, DUE_MONTHS, MONTHLY, in_months
from chatbill.application.reports.short_turns import Rests
from chatbill.domain.reports.finance import CreditFigures, CreditMovement
from chatbill.domain.reports.periods import DAY, MAX_ROWS, QUARTER, day_of, month_of, next_month, quarter_of
from chatbill.domain.reports.usage import EndedInteraction, UsageFigures
from chatbill.domain.shared.errors import InvalidRequest

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


K = TypeVar("K")
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Figures(Protocol[R_contra]):
    """Sums that can be added up."""

    def add(self, row: R_contra, /) -> None:
        """Add a raw row."""

    def add_values(self, values: list[Any], /) -> None:
        """Add the sums of a roll-up."""


F = TypeVar("F", bound=Figures[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys(Generic[R, K]):
    """What a report sums: the series of the roll-ups, and the keys of a raw row and of a roll-up.

    With `by_time`, keys of later rows are not lower, so that the figures of one key are complete when the next begins.
    """

    series: str
    of_raw: Callable[[R], K]
    of_rolled: Callable[[datetime, str], K]
    by_time: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a period. `is_raw` says that no roll-ups serve for it."""

    start: datetime
    end: datetime
    is_raw: bool


def pieces(reader: ReportReader, start: datetime, end: datetime, *, by_day: bool) -> Iterator[Piece]:
    """Divide a period into those parts that roll-ups of days or of quarters cover, and the others, in order."""
    floor, grain = (day_of, DAY) if by_day else (quarter_of, QUARTER)
    first, last = floor(start) if floor(start) == start else floor(start) + grain, floor(end)
    if first >= last:
        yield Piece(start, end, is_raw=True)
        return
    if start < first:
        yield Piece(start, first, is_raw=True)
    at = first
    for mark in reader.rollups(DUE, day_of(first), last):
        due_from, due_to = max(mark.starts_at, at), min(mark.starts_at + DAY, last)
        if at < due_from:
            yield Piece(at, due_from, is_raw=False)
        if due_from < due_to:
            yield Piece(due_from, due_to, is_raw=True)
        at = max(at, due_to)
    if at < last:
        yield Piece(at, last, is_raw=False)
    if last < end:
        yield Piece(last, end, is_raw=True)


def usage_sums(
    reader: ReportReader, start: datetime, end: datetime, keys: Keys[EndedInteraction, K]
) -> Iterator[tuple[K, UsageFigures]]:
    """Yield each key with the figures of its interactions that ended in the period."""
    return _sums(reader, start, end, keys, reader.ended, UsageFigures)


def credit_sums(
    reader: ReportReader, start: datetime, end: datetime, keys: Keys[CreditMovement, K]
) -> Iterator[tuple[K, CreditFigures]]:
    """Yield each key with the figures of its entries of the period."""
    return _sums(reader, start, end, keys, reader.movements, CreditFigures)


def _sums(
    reader: ReportReader,
    start: datetime,
    end: datetime,
    keys: Keys[R, K],
    raw: Callable[[datetime, datetime], Iterator[R]],
    kind: Callable[[], F],
) -> Iterator[tuple[K, F]]:
    """Yield each key with its figures. Raises `InvalidRequest` for more keys than a report may have rows.

    With `by_time`, the figures of one key are in memory at a time.
    """
    sums: dict[K, F] = {}
    rest = Rests()
    for key, change in _changes(reader, start, end, keys, raw):
        figures = sums.get(key)
        if figures is None:
            if keys.by_time:
                yield from sums.items()
                sums.clear()
            elif len(sums) >= MAX_ROWS:
                raise InvalidRequest.of("from", "too_many_rows", max=MAX_ROWS)
            figures = sums[key] = kind()
        if isinstance(change, list):
            figures.add_values(change)
        else:
            figures.add(change)
        rest()
    yield from sums.items()


def _changes(
    reader: ReportReader,
    start: datetime,
    end: datetime,
    keys: Keys[R, K],
    raw: Callable[[datetime, datetime], Iterator[R]],
) -> Iterator[tuple[K, R | list[Any]]]:
    """Yield raw rows, and the values of roll-ups, each with its key."""
    for piece in pieces(reader, start, end, by_day=not keys.by_time):
        if piece.is_raw:
            for row in raw(piece.start, piece.end):
                yield keys.of_raw(row), row
        elif keys.by_time:
            for at, values in _of_quarters(reader, keys.series, piece):
                yield keys.of_rolled(at, ""), values
        else:
            for rolled in rollups_of(reader, keys.series, piece):
                yield keys.of_rolled(rolled.starts_at, rolled.key), json.loads(rolled.figures)


def _of_quarters(reader: ReportReader, series: str, piece: Piece) -> Iterator[tuple[datetime, list[Any]]]:
    """Yield each quarter of an hour of a piece that has figures; a roll-up has those of a day."""
    for rolled in reader.rollups(series, day_of(piece.start), piece.end):
        for number, values in json.loads(rolled.figures).items():
            at = rolled.starts_at + int(number) * QUARTER
            if piece.start <= at < piece.end:
                yield at, values


def rollups_of(reader: ReportReader, series: str, piece: Piece) -> Iterator[RollUpRow]:
    """Yield the roll-ups of a piece: of whole months where there are any, and of days around them."""
    first = month_of(piece.start) if month_of(piece.start) == piece.start else next_month(piece.start)
    last = month_of(piece.end)
    if series not in MONTHLY or first >= last:
        yield from reader.rollups(series, piece.start, piece.end)
        return
    yield from reader.rollups(series, piece.start, first)
    at = first
    for mark in [*reader.rollups(DUE_MONTHS, first, last)]:
        yield from reader.rollups(in_months(series), at, mark.starts_at)
        at = next_month(mark.starts_at)
        yield from reader.rollups(series, mark.starts_at, at)
    yield from reader.rollups(in_months(series), at, last)
    yield from reader.rollups(series, last, piece.end)
