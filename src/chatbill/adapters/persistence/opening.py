"""Opens the store for the address of a database."""

from __future__ import annotations

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.postgres.store import PostgresStore
from chatbill.adapters.persistence.sqlite.store import SqliteStore
from chatbill.application.ports.store import Store


def open_store(url: str, *, prefix: str = "") -> Store:
    """Return the store for `sqlite:////var/lib/chatbill/chatbill.sqlite3` or `postgresql://user:password@host/name`.

    `prefix` is what the names of chatbill's tables begin with, in a database that an app has tables in too. Nothing is
    opened or made yet; see `schema.upgrade`. Raises `ValueError` for an address that no store understands or a bad
    prefix, and `StoreUnavailable` where a package is missing.
    """
    address = parsed(url)
    if is_postgres(address):
        return PostgresStore(address, prefix=prefix)
    return SqliteStore(sqlite_path(address), prefix=prefix)
