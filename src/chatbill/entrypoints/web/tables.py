"""Tables of typed cells, written as CSV or as a spreadsheet, for exports and the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Cell: TypeAlias = str | int | Decimal | datetime | None

DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet may take a text that begins with one of these for a formula; the last four are wide forms."""
QUOTE: Final = "'"
MAX_DIGITS: Final = 15
"""A spreadsheet keeps so many digits of a number. A longer one is written as text."""
MAX_CELL_CHARS: Final = 32_767
"""The most characters of a cell of a spreadsheet; a longer text is cut there, and whole in CSV and JSON."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its name, the cell of a row, and whether a spreadsheet has the sum of its cells below them."""

    name: str
    cell: Callable[[T], Cell]
    is_summed: bool = False


Columns: TypeAlias = Sequence[Column[T]]


def csv_header(columns: Columns[T]) -> bytes:
    """Return the line with the names of the columns."""
    return _line([column.name for column in columns])


def csv_lines(columns: Columns[T], rows: Iterable[T]) -> Iterator[bytes]:
    """Yield a line of CSV (RFC 4180, UTF-8) for each row.

    Text that begins like a formula gets an apostrophe before it, and so does text that begins with an apostrophe. To
    read the text as it was, remove one apostrophe at its beginning, if there is one.
    """
    for row in rows:
        yield _line([_text(column.cell(row)) for column in columns])


def original(cell: str) -> str:
    """Return the text that a cell of CSV stands for."""
    return cell.removeprefix(QUOTE)


def plain(cell: Cell) -> str | int | None:
    """Return a cell as JSON keeps it: money as text, so that no digit is lost, and moments in RFC 3339."""
    match cell:
        case Decimal():
            return f"{cell:f}"
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case _:
            return cell


class Spreadsheet(Generic[T]):
    """Writes a spreadsheet (XLSX): typed cells, a header that stays in view, and sums. Memory stays the same.

    Moments are in UTC. The sums are formulas with their results. `rows` is how many rows were added.
    """

    def __init__(self, path: Path, columns: Columns[T], *, title: str) -> None:
        import xlsxwriter  # noqa: PLC0415 - only an export needs it

        # A text stays a text, also one that looks like a number or a formula.
        safe = {f"strings_to_{kind}": False for kind in ("formulas", "urls", "numbers")}
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent), **safe})
        self._sheet, self._bold = self._book.add_worksheet(title[:31]), self._book.add_format({"bold": True})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._money = self._book.add_format({"num_format": "0.00"})
        self._columns, self._sums, self.rows = columns, [0] * len(columns), 0
        self._sheet.freeze_panes(1, 0)
        for number, column in enumerate(columns):
            self._sheet.set_column(number, number, max(12, len(column.name) + 2))
            self._sheet.write_string(0, number, column.name, self._bold)

    def add(self, rows: Iterable[T]) -> None:
        """Write more rows."""
        for row in rows:
            self.rows += 1
            for number, column in enumerate(self._columns):
                self._write(number, column.cell(row))

    def close(self) -> None:
        """Write the sums, and the file."""
        for number, column in enumerate(self._columns):
            if column.is_summed and self.rows:
                letters = _letters(number)
                formula = f"=SUM({letters}2:{letters}{self.rows + 1})"
                self._sheet.write_formula(self.rows + 1, number, formula, self._bold, self._sums[number])
        self._book.close()

    def _write(self, number: int, cell: Cell) -> None:
        place = self.rows, number
        match cell:
            case datetime():
                self._sheet.write_datetime(*place, cell.astimezone(UTC).replace(tzinfo=None), self._moment)
            case Decimal() if _fits(cell):
                self._sheet.write_number(*place, float(cell), self._money)
            case int() if _fits(cell):
                self._sheet.write_number(*place, cell)
                self._sums[number] += cell
            case None:
                pass
            case _:
                self._sheet.write_string(*place, str(cell)[:MAX_CELL_CHARS])


def _fits(number: int | Decimal) -> bool:
    return sum(map(str.isdigit, str(number))) <= MAX_DIGITS


def _letters(number: int) -> str:
    """Return the letters of a column of a spreadsheet, counted from 0."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return QUOTE + cell if cell.startswith((*DANGEROUS, QUOTE)) else cell
    found = plain(cell)
    return "" if found is None else str(found)


def _line(cells: list[str]) -> bytes:
    # An iterator over lines would keep them; one buffer a line is as fast.
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()
