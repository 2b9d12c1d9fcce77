"""Exports of lists: files that are read and sent page by page, so that memory stays the same."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, TypeVar

from litestar.response.streaming import ASGIStreamingResponse
from litestar.serialization import encode_json
from litestar.types import Receive, Send

from chatbill.application.shared.paging import MAX_PAGE, Page
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.web.replies import wait_for_disconnect
from chatbill.entrypoints.web.tables import Columns, Spreadsheet, csv_header, csv_lines, plain

T = TypeVar("T")
FetchPage = Callable[[str | None, int], Awaitable[Page[T]]]
"""Returns the page after a cursor, with so many items at most."""

MAX_SPREADSHEET_ROWS: Final = 50_000
CHUNK_BYTES: Final = 65_536


class ExportFormat(StrEnum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSON: "application/json",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class FileStream(ASGIStreamingResponse):
    """Sends a file as its parts come, until the client disconnects. `done` is called at the end, in any case."""

    __slots__ = ("_done", "_parts")

    def __init__(
        self, name: str, form: ExportFormat, parts: AsyncGenerator[bytes, None], done: Callable[[], None]
    ) -> None:
        headers = {"Content-Disposition": f'attachment; filename="chatbill-{name}.{form.value}"'}
        super().__init__(iterator=[], media_type=MEDIA_TYPES[form], headers=headers, status_code=200)
        self._parts, self._done = parts, done

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send all parts, or stop when the client disconnects."""
        disconnected = asyncio.create_task(wait_for_disconnect(receive))
        try:
            async with aclosing(self._parts) as parts:
                async for part in parts:
                    if disconnected.done():
                        return
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            disconnected.cancel()
            self._done()


async def export(
    name: str, form: ExportFormat, columns: Columns[T], fetch: FetchPage[T], *, done: Callable[[], None]
) -> FileStream:
    """Return all pages as a file. The first page is read here, so that an error of the request is answered as one.

    Raises `InvalidRequest` for more rows than a spreadsheet is written with. `done` is called at the end, in any case.
    """
    try:
        first = await fetch(None, MAX_PAGE)
        pages = _pages(first, fetch)
        if form is ExportFormat.XLSX:
            return FileStream(name, form, await _spreadsheet(name, columns, pages), done)
        parts = _csv(columns, pages) if form is ExportFormat.CSV else _json(columns, pages)
        return FileStream(name, form, parts, done)
    except BaseException:
        done()
        raise


def table(name: str, form: ExportFormat, columns: Columns[T], rows: list[T]) -> Awaitable[FileStream]:
    """Return rows that are all there as a file."""

    async def fetch(_cursor: str | None, _limit: int) -> Page[T]:
        return Page(rows, None)

    return export(name, form, columns, fetch, done=lambda: None)


async def _pages(first: Page[T], fetch: FetchPage[T]) -> AsyncGenerator[list[T], None]:
    page = first
    while True:
        yield page.items
        if page.next_cursor is None:
            return
        page = await fetch(page.next_cursor, MAX_PAGE)


async def _csv(columns: Columns[T], pages: AsyncIterator[list[T]]) -> AsyncGenerator[bytes, None]:
    yield csv_header(columns)
    async for rows in pages:
        yield b"".join(csv_lines(columns, rows))


async def _json(columns: Columns[T], pages: AsyncIterator[list[T]]) -> AsyncGenerator[bytes, None]:
    before = b'{"items":['
    async for rows in pages:
        for row in rows:
            yield before + encode_json({column.name: plain(column.cell(row)) for column in columns})
            before = b","
    yield (b"" if before == b"," else before) + b"]}"


async def _spreadsheet(name: str, columns: Columns[T], pages: AsyncIterator[list[T]]) -> AsyncGenerator[bytes, None]:
    """Write a spreadsheet on a thread, a page at a time, and return its parts."""
    folder = Path(await asyncio.to_thread(mkdtemp, prefix="chatbill-export-"))
    path = folder / "export.xlsx"
    try:
        book = await asyncio.to_thread(Spreadsheet, path, columns, title=name)
        async for rows in pages:
            _check_rows(book.rows + len(rows))
            await asyncio.to_thread(book.add, rows)
        await asyncio.to_thread(book.close)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    return _temporary(path)


def _check_rows(rows: int) -> None:
    if rows > MAX_SPREADSHEET_ROWS:
        raise InvalidRequest.of("format", "too_many_for_spreadsheet", max=MAX_SPREADSHEET_ROWS)


async def _temporary(path: Path) -> AsyncGenerator[bytes, None]:
    try:
        async for part in file_parts(path):
            yield part
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)


async def file_parts(path: Path) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a file."""
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
