"""The signing key: made once, kept in a file that only its owner can read, and the same for every process."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from chatbill.domain.shared.errors import ReasonedError

NEW_KEY_BYTES: Final = 48
MIN_KEY_BYTES: Final = 32
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(ReasonedError):
    """The key file cannot be used or made; the reason says why."""

    code = "key_file"


def read_or_make_key(path: Path) -> bytes:
    """Return the key in `path`, at least 32 bytes; write a new random one there, with mode 0600, if there is none.

    Processes that start together get the same key: each writes a file of its own, and linking it into place
    succeeds for exactly one. Raises `KeyFileError` for a file that others may read or that is too short.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
        return _read(path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read().strip()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError("key_file_unreadable", path=str(path), cause=error.strerror) from error
    # Windows guards the file by the folder's access list and has no such mode.
    if os.name == "posix" and mode & OTHERS:
        raise KeyFileError("key_file_exposed", path=str(path), mode=f"{mode:04o}")
    if len(key) < MIN_KEY_BYTES:
        raise KeyFileError("key_file_too_short", path=str(path), size=len(key), min=MIN_KEY_BYTES)
    return key


def _make(path: Path) -> None:
    mine = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_urlsafe(NEW_KEY_BYTES).encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link never replaces what another process put there first.
            with suppress(FileExistsError):
                os.link(mine, path)
        finally:
            mine.unlink()
    except OSError as error:
        raise KeyFileError("key_file_not_writable", path=str(path), cause=error.strerror) from error
