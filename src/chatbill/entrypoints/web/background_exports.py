"""Writes exports in the background, into a folder that all processes of the service share."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

from chatbill.application.assembly import UseCases
from chatbill.application.jobs.handlers import Handler
from chatbill.application.jobs.run_jobs import RunJobs
from chatbill.application.reports.export_jobs import EXPORT, KEPT_S, Exported, Wanted
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.shared.errors import Forbidden, NotFound
from chatbill.entrypoints.web.list_rows import ENTRY_COLUMNS, INTERACTION_COLUMNS, EntryView, RequestView
from chatbill.entrypoints.web.tables import Columns, Spreadsheet

FOLDER: Final = "exports"
MAX_ROWS: Final = 1_000_000
"""A sheet has at most 1,048,576 rows."""
MAX_BYTES: Final = 512 * 1_048_576
TIMEOUT_S: Final = 3_600.0
NOTED_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is. `error` is a code, set when it has ended without a file."""

    rows: int = 0
    error: str | None = None


class GivenUp(Exception):
    """Raised for an export that another attempt would not help. The text is its code."""


@dataclass(frozen=True, slots=True)
class ExportFolder:
    """The files of exports, and beside each how far it is. Names are ids of jobs, which are looked up before."""

    path: Path

    def file(self, job: Job) -> Path:
        """Return where the file of an export is, once it is complete."""
        return self.path / f"{job.id}.xlsx"

    def progress(self, job: Job) -> Progress:
        """Return how far an export is."""
        try:
            return Progress(**json.loads(self._progress(job).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Progress()

    def note(self, job: Job, progress: Progress) -> None:
        """Note how far an export is, at once or not at all."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.path / f"{job.id}.{uuid4().hex}.part"
        part.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        part.replace(self._progress(job))

    def forget_old(self) -> None:
        """Remove what is too old: files whose time is over, and what a process that died has left."""
        for each in self.path.glob("*") if self.path.is_dir() else ():
            try:
                is_old = time.time() - each.stat().st_mtime > KEPT_S
            except FileNotFoundError:
                continue  # another process was faster
            if is_old and each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            elif is_old:
                each.unlink(missing_ok=True)

    def _progress(self, job: Job) -> Path:
        return self.path / f"{job.id}.json"


def export_runner(use_cases: UseCases, folder: ExportFolder) -> RunJobs:
    """Return what writes exports: one at a time in a process, beside the other jobs, so that none of them waits."""
    write = Handler(work=_Writer(use_cases, folder), timeout_s=TIMEOUT_S)
    return replace(use_cases.jobs.run_jobs, handlers={EXPORT: write}, schedules=(), at_once=1)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the export of a job. An attempt that is repeated writes it anew, and the complete file appears at once."""

    use_cases: UseCases
    folder: ExportFolder

    async def __call__(self, job: Job) -> None:
        """Write it. What its owner may not read any more, or what is too long, is given up."""
        await asyncio.to_thread(self.folder.forget_old)
        try:
            await self._write(job)
        except (GivenUp, Forbidden, NotFound) as error:
            code = str(error) if isinstance(error, GivenUp) else error.code
            await asyncio.to_thread(self.folder.note, job, Progress(error=code))

    async def _write(self, job: Job) -> None:
        wanted, folder = Wanted.of(job), self.folder
        await asyncio.to_thread(folder.note, job, Progress())
        with TemporaryDirectory(prefix=f"{job.id}.", dir=folder.path) as attempt:
            path = Path(attempt) / "export.xlsx"
            rows = await self._filled(job, wanted, path)
            if path.stat().st_size > MAX_BYTES:
                raise GivenUp("too_large")
            await asyncio.to_thread(folder.note, job, Progress(rows=rows))
            path.replace(folder.file(job))

    async def _filled(self, job: Job, wanted: Wanted, path: Path) -> int:
        """Write all rows; return how many."""
        columns: Columns[Any] = ENTRY_COLUMNS if wanted.what is Exported.LEDGER else INTERACTION_COLUMNS
        book = await asyncio.to_thread(Spreadsheet[Any], path, columns, title=wanted.what.value)
        try:
            async for rows in self._pages(job, wanted):
                if book.rows + len(rows) > MAX_ROWS:
                    raise GivenUp("too_many_rows")
                await asyncio.to_thread(book.add, rows)
                if book.rows % NOTED_ROWS < len(rows):
                    await asyncio.to_thread(self.folder.note, job, Progress(rows=book.rows))
        finally:
            await asyncio.to_thread(book.close)
        return book.rows

    async def _pages(self, job: Job, wanted: Wanted) -> AsyncIterator[list[Any]]:
        """Yield the rows as the owner may read them now, page by page. Texts of chats are never part of it."""
        reports, cursor = self.use_cases.reports, None
        while True:
            principal = await reports.export_jobs.owner(job)
            if wanted.what is Exported.LEDGER:
                entries = await reports.list_ledger(
                    principal, wanted.entries, user_id=wanted.user_id, limit=MAX_PAGE, cursor=cursor
                )
                yield [EntryView.of(each) for each in entries.items]
                cursor = entries.next_cursor
            else:
                # A viewer reads requests without their texts, and so leaves no record of having read them.
                reader = replace(principal, role=UserRole.VIEWER)
                found = await reports.list_interactions(reader, wanted.interactions, limit=MAX_PAGE, cursor=cursor)
                yield [RequestView.of(each, has_texts=False) for each in found.page.items]
                cursor = found.page.next_cursor
            if cursor is None:
                return
