"""Makes, restores and tests backups of the database, at the place that the settings name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import chatbill
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.ports.backups import BackupFailed, Contents, LastBackup
from chatbill.application.ports.clock import Clock
from chatbill.domain.shared.errors import ChatbillError
from chatbill.settings import Settings, SettingsError, variable_value

if TYPE_CHECKING:
    from chatbill.adapters.backups.archive import Archive
    from chatbill.adapters.backups.manifest import Manifest

FRESH_S: Final = 600.0
"""A service asks the place for the newest backup again after this time, and after each backup that it makes."""
SWEEP_S: Final = 3_600.0
"""In a drill, a hold may be this long past its time: it awaited the sweep when the copy was made."""
SHOWN: Final = 10
"""The most differences of the ledger that a drill reports."""
DOUBTFUL: Final = 3
"""The exit code of `chatbill backup make` if the ledger in the copy is not consistent."""
FOLDER: Final = "backup-work"
PASSED_ON: Final = ("data_dir", "database_prefix", "backup_to", "backup_keep", "backup_keep_days", "backup_key_file")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """The result of a drill: the age of the backup, the seconds of each step, and the number of restored rows.

    `wrong` has the differences that were found; it is empty for a good backup.
    """

    name: str
    age_s: float
    fetch_s: float
    restore_s: float
    verify_s: float
    rows: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseBackups:
    """Makes, restores and tests backups of one database. Its methods block."""

    database: str
    prefix: str
    archive: Archive
    clock: Clock
    keep: int
    keep_days: int

    def make(self) -> Manifest:
        """Make a backup. Raises `BackupFailed` and `StoreUnavailable`; then there is no new backup."""
        from chatbill.adapters.persistence.copies import copy_database  # noqa: PLC0415

        made_at = self.clock()
        with self.archive.workplace() as folder:
            copy, contents = copy_database(self.database, folder, prefix=self.prefix)
            unique = secrets.token_hex(3)
            return self.archive.add(copy, contents, made_at=made_at, version=chatbill.__version__, unique=unique)

    def age_s(self) -> float | None:
        """Return the age of the newest complete backup in seconds; None if there is none. Raises `BackupFailed`."""
        from chatbill.adapters.backups.manifest import moment_of  # noqa: PLC0415

        made_at = next(map(moment_of, self.archive.names()), None)
        return (self.clock() - made_at).total_seconds() if made_at else None

    def prune(self) -> list[str]:
        """Remove backups that are no longer kept; return their names. Raises `BackupFailed`."""
        return self.archive.prune(now=self.clock(), keep=self.keep, keep_days=self.keep_days)

    def restore(self, name: str, *, force: bool) -> Manifest:
        """Write a backup into the database. The service must be stopped.

        With SQLite, the ledger is verified first. With PostgreSQL, it is not: run `chatbill ledger verify` afterwards.
        Raises `BackupFailed` and `StoreUnavailable`.
        """
        from chatbill.adapters.persistence.copies import restore_database  # noqa: PLC0415

        with self.archive.workplace() as folder:
            manifest = self.archive.manifest(name)
            copy = self.archive.fetch(manifest, folder)
            restore_database(self.database, copy, prefix=self.prefix, force=force)
        return manifest

    def drill(self, name: str | None = None) -> DrillReport:
        """Restore a backup, by default the newest, into a temporary database, and verify it there.

        Raises `BackupFailed` and `StoreUnavailable`.
        """
        from chatbill.adapters.persistence.copies import contents_of, database_for_drill, restore_database  # noqa: PLC0415

        name = name or next(iter(self.archive.names()), None)
        if name is None:
            raise BackupFailed("There is no backup yet. Make one by: chatbill backup make")
        with self.archive.workplace() as folder:
            laps = [time.monotonic()]
            manifest = self.archive.manifest(name)
            copy = self.archive.fetch(manifest, folder)
            laps.append(time.monotonic())
            with database_for_drill(self.database, folder) as url:
                restore_database(url, copy, prefix=self.prefix)
                laps.append(time.monotonic())
                found = contents_of(url, prefix=self.prefix)
                wrong = [*_missing(manifest, found), *_audited(url, self.prefix, manifest.made_at)]
                laps.append(time.monotonic())
        fetch_s, restore_s, verify_s = (after - before for before, after in pairwise(laps))
        return DrillReport(
            name=name,
            age_s=(self.clock() - manifest.made_at).total_seconds(),
            fetch_s=fetch_s,
            restore_s=restore_s,
            verify_s=verify_s,
            rows=sum(found.rows.values()),
            wrong=tuple(wrong),
        )


@dataclass(kw_only=True)
class ScheduledBackups:
    """Makes backups for the jobs of a service, each in a process of its own, which ends when the service stops."""

    archive: Callable[[], Archive]
    environment: dict[str, str]
    _last: LastBackup | None = None
    _asked_at: float = -FRESH_S
    _asking: threading.Lock = field(default_factory=threading.Lock)

    async def make(self) -> None:
        """Run `chatbill backup make`. Raises `BackupFailed` with its error message. Cancelling it kills the process."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "chatbill", "backup", "make"),
            env=self._variables(),
            stdout=subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                _end(process)
                await process.wait()
        self._asked_at = -FRESH_S
        if process.returncode == DOUBTFUL:
            # The copy is kept. Another one would be no better; the nightly audit opens an alert.
            _log.error("backup_not_consistent", extra={"said": said.decode(errors="replace").strip()[-1_000:]})
        elif process.returncode:
            raise BackupFailed(said.decode(errors="replace").strip()[-1_000:])

    def _variables(self) -> dict[str, str]:
        """Return the variables of the process. A setting that is given as a value has no variable with its file."""
        files = {f"{name}_FILE" for name in self.environment} - self.environment.keys()
        return {name: value for name, value in os.environ.items() if name.upper() not in files} | self.environment

    def newest(self) -> LastBackup | None:
        """Return the newest backup, as the place told it at most `FRESH_S` seconds ago.

        While the place does not answer, this is its last answer; None if it never answered.
        """
        from chatbill.adapters.backups.manifest import moment_of  # noqa: PLC0415

        if time.monotonic() - self._asked_at <= FRESH_S or not self._asking.acquire(blocking=False):
            return self._last
        try:
            self._asked_at = time.monotonic()
            name = next(iter(self.archive().names()), None)
            self._last = LastBackup(moment_of(name) if name else None)
        except ChatbillError as error:
            _log.warning("backups_not_listed", extra={"error": str(error)})
        finally:
            self._asking.release()
        return self._last


def make_database_backups(settings: Settings, database: str, clock: Clock) -> DatabaseBackups:
    """Return the backups of the database. Raises `SettingsError` if no place is set, and `BackupFailed`."""
    return DatabaseBackups(
        database=database,
        prefix=settings.database_prefix,
        archive=archive_of(settings),
        clock=clock,
        keep=settings.backup_keep,
        keep_days=settings.backup_keep_days,
    )


def make_scheduled_backups(settings: Settings, database: str) -> ScheduledBackups | None:
    """Return the backups that a service makes; None if no place is set, or if they are made by hand only."""
    if settings.backup_to is None or not settings.backup_every_hours:
        return None
    given = {f"CHATBILL_{name.upper()}": getattr(settings, name) for name in PASSED_ON}
    environment = {name: "" if value is None else str(value) for name, value in given.items()}
    return ScheduledBackups(
        archive=lambda: archive_of(settings), environment={**environment, "CHATBILL_DATABASE_URL": database}
    )


def archive_of(settings: Settings) -> Archive:
    """Return the archive at the place of the settings.

    Raises `SettingsError` if no place is set, and `BackupFailed` if a package or the key is missing.
    """
    if settings.backup_to is None:
        raise SettingsError("CHATBILL_BACKUP_TO must be set: a folder, or s3://BUCKET/PATH")
    from chatbill.adapters.backups.archive import Archive  # noqa: PLC0415
    from chatbill.adapters.backups.places import place_of  # noqa: PLC0415
    from chatbill.adapters.backups.sealing import read_keys  # noqa: PLC0415

    key_file = settings.backup_key_file
    return Archive(
        place=place_of(settings.backup_to, variable_value),
        work=settings.data_dir / FOLDER,
        keys=read_keys(key_file) if key_file else None,
    )


def make_backup_key(path: Path) -> str:
    """Write a new secret key to a file; return the public key. Raises `BackupFailed`."""
    from chatbill.adapters.backups.sealing import make_key  # noqa: PLC0415

    return make_key(path)


def _end(process: asyncio.subprocess.Process) -> None:
    """End the process and the programs that it has started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _missing(manifest: Manifest, found: Contents) -> list[str]:
    """Return how a restored database differs from its manifest.

    An upgrade of the schema may have removed a table or written notes of reports; these do not count.
    """
    wrong = [
        f"the table {table} has {found.rows[table]} rows and not {count}"
        for table, count in manifest.rows.items()
        if found.rows.get(table, count) != count and not table.endswith("report_notes")
    ]
    return wrong if found.head == manifest.head else [*wrong, f"the last entry is {found.head}, not {manifest.head}"]


def _audited(url: str, prefix: str, made_at: datetime) -> list[str]:
    """Verify the ledger of a restored database, as of the time of its copy; return the first differences."""
    from chatbill.adapters.persistence import open_store  # noqa: PLC0415

    found: list[str] = []

    async def verify() -> None:
        store = open_store(url, prefix=prefix)
        try:
            verify_ledger = VerifyLedger(store=store, clock=lambda: made_at, sweep_allowance_s=SWEEP_S)
            await verify_ledger(lambda difference: found.append(f"{difference.subject}: {difference.detail}"))
        finally:
            await store.close()

    asyncio.run(verify())
    return found[:SHOWN]
