"""From the address of a database to the store that keeps it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from chatbill.adapters.persistence.sqlite import SqliteStore
from chatbill.application.ports.store import Store


def open_store(url: str) -> Store:
    """The store for an address such as `sqlite:////var/lib/chatbill/chatbill.sqlite3`.

    Nothing is opened or made yet; see `schema.upgrade`. Raises `ValueError` for an address that no store understands.
    """
    return SqliteStore(sqlite_path(parsed(url)))


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return URL.create("sqlite", database=str(path.absolute())).render_as_string(hide_password=False)


def parsed(url: str) -> URL:
    """The parts of an address."""
    try:
        return make_url(url)
    except ArgumentError as error:
        raise ValueError("The database's address must look like sqlite:///PATH.") from error


def sqlite_path(url: URL) -> Path:
    """The file that an SQLite address names."""
    if url.get_backend_name() != "sqlite":
        raise ValueError(f"There is no store for {url.get_backend_name()} databases yet; use sqlite:///PATH.")
    if not url.database or url.database.startswith((":", "file:")) or url.query:
        raise ValueError("The address of an SQLite database must name a file, as in sqlite:////folder/file.sqlite3.")
    return Path(url.database)
