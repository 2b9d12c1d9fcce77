"""Stores that last: SQLAlchemy writes the SQL, SQLite (and next PostgreSQL) keeps it."""

from __future__ import annotations

from chatbill.adapters.persistence.opening import open_store, sqlite_url
from chatbill.adapters.persistence.sqlite import SqliteStore

__all__ = ["SqliteStore", "open_store", "sqlite_url"]
