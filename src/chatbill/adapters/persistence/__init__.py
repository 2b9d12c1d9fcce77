"""Stores that last: SQLAlchemy writes the SQL, SQLite or PostgreSQL keeps it."""

from __future__ import annotations

from chatbill.adapters.persistence.opening import check_address, open_store, sqlite_url
from chatbill.adapters.persistence.postgres.store import PostgresStore
from chatbill.adapters.persistence.sqlite.store import SqliteStore

__all__ = ["PostgresStore", "SqliteStore", "check_address", "open_store", "sqlite_url"]
