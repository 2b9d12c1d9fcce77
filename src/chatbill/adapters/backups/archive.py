"""The archive: complete backups at a place, newest first, and what is removed of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from filelock import FileLock, Timeout

from chatbill.adapters.backups import sealing
from chatbill.adapters.backups.manifest import MAX_BYTES, SUFFIX, Manifest, moment_of, name_of
from chatbill.adapters.backups.places import PART, Place
from chatbill.application.ports.backups import BackupFailed, Contents

INCOMPLETE_DAYS: Final = 2
"""Files without a manifest are removed after this time: their backup was ended before it was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Backups at a place. `work` is a folder on this machine for copies on their way, `keys` None encrypts nothing."""

    place: Place
    work: Path
    keys: sealing.Keys | None = None

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Yield an empty folder, which is removed at the end. Raises `BackupFailed` while another process has one."""
        self.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with FileLock(self.work / "lock", timeout=0):
                for left in self.work.glob("made-*"):
                    shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
                with TemporaryDirectory(dir=self.work, prefix="made-") as folder:
                    yield Path(folder)
        except Timeout:
            raise BackupFailed("Another backup or drill runs on this machine. Try again when it has ended.") from None

    def add(self, copy: Path, contents: Contents, *, made_at: datetime, version: str, unique: str) -> Manifest:
        """Store a copy, then its manifest, which makes it complete. The copy may be replaced by its encrypted form."""
        name = name_of(made_at, unique)
        file = f"{name}{''.join(copy.suffixes)}"
        if self.keys is not None:
            file, sealed = file + sealing.SUFFIX, copy.with_name("sealed")
            sealing.seal(copy, sealed, self.keys)
            copy.unlink()
            copy = sealed
        manifest = Manifest(
            name=name,
            file=file,
            made_at=made_at,
            version=version,
            database=contents.database,
            revision=contents.revision,
            rows=contents.rows,
            head=contents.head,
            doubts=contents.doubts,
            size=copy.stat().st_size,
            sha256=_sha256(copy),
            encrypted=self.keys is not None,
        )
        self.place.put(file, copy)
        written = copy.with_name("manifest")
        written.write_bytes(manifest.dumps())
        self.place.put(name + SUFFIX, written)
        return manifest

    def names(self) -> list[str]:
        """Return the names of the complete backups, newest first."""
        found = set(self.place.names())
        names = (each.removesuffix(SUFFIX) for each in found if each.endswith(SUFFIX))
        return sorted((name for name in names if moment_of(name) and _files_of(name, found)), reverse=True)

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of a backup. Raises `BackupFailed`."""
        if name not in self.names():
            raise BackupFailed(f"There is no backup {name}. See: chatbill backup list")
        with TemporaryDirectory() as folder:
            file = Path(folder) / "manifest"
            self.place.get(name + SUFFIX, file)
            with file.open("rb") as opened:
                return Manifest.loads(name, opened.read(MAX_BYTES))

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the plain copy in the folder. Raises `BackupFailed` if it is not the one that was stored."""
        stored = folder / manifest.file
        self.place.get(manifest.file, stored)
        if _sha256(stored) != manifest.sha256:
            raise BackupFailed(
                f"{manifest.file} is not what was stored: its checksum is another one. Take an older one."
            )
        if not manifest.encrypted:
            return stored
        plain = folder / manifest.file.removesuffix(sealing.SUFFIX)
        sealing.unseal(stored, plain, self.keys)
        stored.unlink()
        return plain

    def prune(self, *, now: datetime, keep: int, keep_days: int) -> list[str]:
        """Remove backups older than `keep_days`, but never the newest `keep` ones; return the names of the removed."""
        found, complete = self.place.names(), self.names()
        limit = now - timedelta(days=keep_days)
        removed = [name for name in complete[keep:] if _moment(name) < limit]
        for name in removed:
            # The manifest first: what is left after a crash is no backup.
            self.place.delete(name + SUFFIX)
            for file in _files_of(name, found):
                self.place.delete(file)
        for file in found:
            made_at, is_part = moment_of(_stem(file)), file.endswith(PART)
            belongs = any(file.startswith(name) for name in complete) and not is_part
            if made_at and not belongs and made_at < now - timedelta(days=INCOMPLETE_DAYS):
                self.place.delete(file)
        return removed


def _files_of(name: str, found: list[str] | set[str]) -> list[str]:
    """Return the files of a backup without its manifest."""
    return [each for each in found if each.startswith(f"{name}.") and each != name + SUFFIX]


def _stem(file: str) -> str:
    return file.lstrip(".").partition(".")[0]


def _moment(name: str) -> datetime:
    moment = moment_of(name)
    assert moment is not None  # noqa: S101 - `names` returns no others
    return moment


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
