"""Stores in SQLite and PostgreSQL, alone in a database or beside the tables of an app."""

from __future__ import annotations

from chatbill.adapters.persistence.addresses import check_address, sqlite_url
from chatbill.adapters.persistence.opening import open_probe_store, open_store
from chatbill.adapters.persistence.postgres.store import PostgresStore
from chatbill.adapters.persistence.sharing import include_object, prepare_engine, sqlite_module, transaction_on
from chatbill.adapters.persistence.sqlite.store import SqliteStore

__all__ = [
    "PostgresStore",
    "SqliteStore",
    "check_address",
    "include_object",
    "open_probe_store",
    "open_store",
    "prepare_engine",
    "sqlite_module",
    "sqlite_url",
    "transaction_on",
]
