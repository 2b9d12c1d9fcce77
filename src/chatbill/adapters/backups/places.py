"""Places where backups are kept: a folder, or a bucket of an object store. A file appears there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from chatbill.application.ports.backups import BackupFailed

S3: Final = "s3://"
S3_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
)
"""Variables with which other tools also find an object store."""
PART: Final = ".part"
TIMEOUT: Final = "60s"
RETRIES: Final = 3
MAX_CHARS: Final = 300
CHUNK_BYTES: Final = 8 * 2**20
MAX_PARTS: Final = 9_000
"""S3 takes 10,000 parts of a file."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Place(Protocol):
    """Keeps files by their names. Every method raises `BackupFailed` where the place does not do it."""

    def put(self, name: str, file: Path) -> None:
        """Store a file durably."""
        ...

    def get(self, name: str, file: Path) -> None:
        """Write what is stored under the name to a file."""
        ...

    def names(self) -> list[str]:
        """Return the names of all files."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        ...


def place_of(address: str, variable: Callable[[str], str | None]) -> Place:
    """Return the place of an address: a folder, or `s3://BUCKET/PATH`, whose keys come from variables."""
    if address.startswith(S3):
        return Bucket(address, {name: value for name in S3_VARIABLES if (value := variable(name))})
    return Folder(Path(address).expanduser().absolute())


class Folder:
    """A folder, which is made with mode 0700 if it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, file: Path) -> None:
        """Copy beside the target first, sync, and rename."""
        part = self._path / f".{name}.{secrets.token_hex(4)}{PART}"
        with _told(str(self._path)):
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with file.open("rb") as source, os.fdopen(os.open(part, _NEW, 0o600), "wb") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
                    target.flush()
                    os.fsync(target.fileno())
                part.replace(self._path / name)
            finally:
                part.unlink(missing_ok=True)
            self._sync()

    def get(self, name: str, file: Path) -> None:
        """Copy the file."""
        with _told(str(self._path)), (self._path / name).open("rb") as source, file.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)

    def names(self) -> list[str]:
        """Return the names, also those of files that were left half written."""
        with _told(str(self._path)):
            return [each.name for each in self._path.iterdir()] if self._path.exists() else []

    def delete(self, name: str) -> None:
        """Remove the file."""
        with _told(str(self._path)):
            (self._path / name).unlink(missing_ok=True)

    def _sync(self) -> None:
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class Bucket:
    """A bucket of an S3-compatible store. An upload is seen when it is complete."""

    def __init__(self, address: str, variables: Mapping[str, str]) -> None:
        try:
            import obstore  # noqa: PLC0415 - an optional dependency
            from obstore.exceptions import BaseError  # noqa: PLC0415
        except ImportError:
            raise BackupFailed("Object stores need more packages: pip install 'chatbill[backups]'") from None
        self._obstore: Any = obstore
        self._told = partial(_told, address, BaseError)
        with self._told():
            config: Any = {name.lower(): value for name, value in variables.items()}
            is_plain = variables.get("AWS_ENDPOINT_URL", "").startswith("http://")
            self._store: Any = obstore.store.from_url(
                address,
                config=config,
                client_options={"timeout": TIMEOUT, "allow_http": is_plain},
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=60)},
            )

    def put(self, name: str, file: Path) -> None:
        """Upload the file in parts."""
        with self._told():
            size = max(CHUNK_BYTES, file.stat().st_size // MAX_PARTS + 1)
            self._obstore.put(self._store, name, file, chunk_size=size, max_concurrency=2)

    def get(self, name: str, file: Path) -> None:
        """Download the file in parts, because the time-out is one of each request."""
        with self._told(), file.open("wb") as target:
            size = int(self._obstore.head(self._store, name)["size"])
            for start in range(0, size, CHUNK_BYTES):
                end = min(start + CHUNK_BYTES, size)
                target.write(self._obstore.get_range(self._store, name, start=start, end=end))

    def names(self) -> list[str]:
        """Return the names below the path of the address."""
        with self._told():
            return [str(each["path"]) for chunk in self._obstore.list(self._store) for each in chunk]

    def delete(self, name: str) -> None:
        """Remove the file."""
        with self._told():
            self._obstore.delete(self._store, name)


@contextmanager
def _told(place: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of files, and of these kinds, into `BackupFailed`."""
    failures: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except failures as error:
        words = " ".join(str(error).split())[:MAX_CHARS] or type(error).__name__
        raise BackupFailed(f"The place for backups, {place}, failed: {words}") from error
