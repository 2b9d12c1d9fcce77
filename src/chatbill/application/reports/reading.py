"""Read the figures of a period from roll-ups, and from raw rows at its edges and on days that are not rolled up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from chatbill.application.ports.repositories.reports import ReportReader, RollUpRow
from chatbill.application.reports.series import DUE, DUE_MONTHS, MONTHLY, in_months
from chatbill.domain.reports.finance import CreditFigures, CreditMovement
from chatbill.domain.reports.periods import DAY, MAX_ROWS, day_of, month_of, next_month, quarter_of
from chatbill.domain.reports.usage import EndedInteraction, UsageFigures
from chatbill.domain.shared.errors import InvalidRequest

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Figures(Protocol):
    """Sums that can be added up."""

    def add_text(self, text: str) -> None:
        """Add the sums of a text."""


F = TypeVar("F", bound=Figures)
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a period. `is_raw` says that no roll-ups serve for it."""

    start: datetime
    end: datetime
    is_raw: bool


def pieces(reader: ReportReader, start: datetime, end: datetime, *, by_day: bool) -> Iterator[Piece]:
    """Divide a period into those parts that roll-ups of days or of quarters cover, and the others, in order."""
    floor, grain = (day_of, DAY) if by_day else (quarter_of, timedelta(minutes=15))
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
    reader: ReportReader,
    period: tuple[datetime, datetime],
    series: str,
    *,
    by_day: bool,
    of_raw: Callable[[EndedInteraction], K],
    of_rolled: Callable[[datetime, str], K],
) -> dict[K, UsageFigures]:
    """Return the figures of interactions that ended in the period, by key."""
    sums: dict[K, UsageFigures] = {}
    for piece in pieces(reader, *period, by_day=by_day):
        if piece.is_raw:
            for ended in reader.ended(piece.start, piece.end):
                _place(sums, of_raw(ended), UsageFigures).add(ended)
        else:
            _add_rolled(reader, series, piece, sums, of_rolled, UsageFigures)
    return sums


def credit_sums(
    reader: ReportReader,
    period: tuple[datetime, datetime],
    series: str,
    *,
    by_day: bool,
    of_raw: Callable[[CreditMovement], K],
    of_rolled: Callable[[datetime, str], K],
) -> dict[K, CreditFigures]:
    """Return the figures of entries of the period, by key."""
    sums: dict[K, CreditFigures] = {}
    for piece in pieces(reader, *period, by_day=by_day):
        if piece.is_raw:
            for movement in reader.movements(piece.start, piece.end):
                _place(sums, of_raw(movement), CreditFigures).merge(movement.figures)
        else:
            _add_rolled(reader, series, piece, sums, of_rolled, CreditFigures)
    return sums


def _add_rolled(
    reader: ReportReader,
    series: str,
    piece: Piece,
    sums: dict[K, F],
    of_rolled: Callable[[datetime, str], K],
    kind: type[F],
) -> None:
    for row in _rolled(reader, series, piece):
        _place(sums, of_rolled(row.starts_at, row.key), kind).add_text(row.figures)


def _rolled(reader: ReportReader, series: str, piece: Piece) -> Iterator[RollUpRow]:
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


def _place(sums: dict[K, F], key: K, kind: type[F]) -> F:
    """Return the sums of a key. Raises `InvalidRequest` for more keys than a report may have rows."""
    found = sums.get(key)
    if found is None:
        if len(sums) >= MAX_ROWS:
            raise InvalidRequest.of("from", "too_many_rows", max=MAX_ROWS)
        found = sums[key] = kind()
    return found
