"""Lets only one service use an SQLite file. The operating system releases the lock when the process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sqlite.driver import make_folder
from chatbill.application.ports.store import StoreUnavailable


class ServiceIsRunning(StoreUnavailable):
    """Another process serves the same SQLite file; the text names it."""


@contextmanager
def service_lock(url: str, *, prefix: str = "") -> Iterator[None]:
    """Hold the service's lock inside the `with` block. On PostgreSQL, many processes may serve, so there is no lock.

    Other programs, such as the commands of an operator, take no lock. Raises `ServiceIsRunning` and
    `StoreUnavailable`.
    """
    # Imported here, because the extra `sqlite` does not install filelock.
    from filelock import FileLock, Timeout  # noqa: PLC0415

    address = parsed(url)
    if is_postgres(address):
        yield
        return
    database = sqlite_path(address).resolve()
    file = database.with_name(f"{database.name}-{prefix}service.lock")
    try:
        make_folder(file.parent)
        lock = FileLock(file, blocking=False, mode=0o600, thread_local=False)
        lock.acquire()
    except Timeout:
        raise ServiceIsRunning(
            f"{_holder(file)} serves {database} already, and an SQLite file is for one service at a time. Stop that "
            "process, or choose another folder with CHATBILL_DATA_DIR, or use PostgreSQL."
        ) from None
    except OSError as error:
        raise unavailable(error) from error
    try:
        # On Windows, the lock forbids reading and writing too.
        with suppress(OSError):
            file.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    try:
        return f"Process {int(file.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "Another process"
