"""The collection of all tables, and how a table is made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Table

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

MAX_CREDITS = 1_000_000_000_000_000
"""Equal to `domain.billing.ledger.MAX_CREDITS`; a test compares both."""


def table(name: str, *items: Column[Any] | CheckConstraint | Index, with_rowid: bool = True, **options: Any) -> Table:
    """Make a table. Use `with_rowid=False` for small rows that are found only by key: SQLite then saves a B-tree."""
    return Table(name, metadata, *items, sqlite_strict=True, sqlite_with_rowid=with_rowid, **options)
