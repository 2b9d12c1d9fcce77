"""Rows that refer to rows that do not exist: a statement for each table, made from what its columns refer to.

Databases check this themselves, unless a connection has switched the check off, as a SQLite shell does by default.
"""

from __future__ import annotations

from functools import reduce

from sqlalchemy import ColumnElement, FromClause, Text, and_, case, cast, literal_column, or_, select

from chatbill.adapters.persistence.sql.statements import Statement
from chatbill.adapters.persistence.sql.tables import interactions, metadata

_SPACE: ColumnElement[str] = literal_column("' '")


def _statements() -> list[tuple[str, list[str], Statement]]:
    """Return each table, its columns that refer to others, and the query for rows that refer to missing ones."""
    found = []
    for table in metadata.sorted_tables:
        # Interactions without a hold break a rule of their own.
        columns = [column for column in table.c if column.foreign_keys and column is not interactions.c.hold_id]
        if not columns:
            continue
        joined: FromClause = table
        missing = []
        for column in columns:
            (key,) = column.foreign_keys
            other = key.column.table.alias(f"of_{column.name}")
            joined = joined.outerjoin(other, other.c.id == column)
            missing.append(and_(column.is_not(None), other.c.id.is_(None)))
        key_columns = [table.c.id] if "id" in table.c else list(table.primary_key)
        parts: list[ColumnElement[str]] = [cast(part, Text) for part in key_columns]
        row_id = reduce(lambda first, second: first.concat(_SPACE).concat(second), parts)
        flags = [case((each, literal_column("1")), else_=literal_column("0")) for each in missing]
        found.append(
            (
                table.name,
                [column.name for column in columns],
                Statement(select(row_id, *flags).select_from(joined).where(or_(*missing))),
            )
        )
    return found


DANGLING = _statements()
