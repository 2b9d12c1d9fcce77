"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Dialect, Integer, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from chatbill.domain.shared.errors import InvariantViolation

ID_CHARS = 64

# STRICT tables of SQLite know INTEGER and TEXT; both sort text by code point, PostgreSQL where it is told to.
Id = String(ID_CHARS).with_variant(Text(), "sqlite").with_variant(String(ID_CHARS, collation="C"), "postgresql")
Count = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits."""
Flag = Boolean().with_variant(Integer(), "sqlite")
"""Yes or no; SQLite gives 1 or 0."""


class CurrentTransaction(ColumnElement[int]):
    """The number of the running transaction; `oldest` is that of the oldest one that still runs on the server.

    Rows of a transaction below the oldest one are all kept by now, and no row will ever join them. SQLite has one
    writer, so there all transactions have the number 0 and the oldest is 1.
    """

    inherit_cache = False
    type = Count

    def __init__(self, *, oldest: bool = False) -> None:
        self.oldest = oldest


@compiles(CurrentTransaction, "sqlite")
def _by_sqlite(element: CurrentTransaction, compiler: SQLCompiler, **kwargs: Any) -> str:  # noqa: ARG001 - as called
    return str(int(element.oldest))


@compiles(CurrentTransaction, "postgresql")
def _by_server(element: CurrentTransaction, compiler: SQLCompiler, **kwargs: Any) -> str:  # noqa: ARG001 - as called
    number = "pg_snapshot_xmin(pg_current_snapshot())" if element.oldest else "pg_current_xact_id()"
    return f"CAST(CAST({number} AS text) AS bigint)"


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, to the microsecond.

    PostgreSQL has a type for it. SQLite keeps `2026-01-31T12:00:00.000000Z`: always 27 characters, so text sorts as
    time does. A naive moment is refused with `InvariantViolation`.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use text, or PostgreSQL's own type."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else Text())

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Return the conversion itself: a charge has ten moments, and SQLAlchemy's wrapper would double their cost."""
        return _moment if dialect.name == "postgresql" else _text

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert the moment to UTC."""
        return self.bind_processor(dialect)(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware moment in UTC."""
        if value is None:
            return None
        moment: datetime = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _moment(value: datetime | None) -> datetime | None:
    return None if value is None else _in_utc(value)


@lru_cache(maxsize=256)  # one moment is in several rows of a transaction
def _text(value: datetime | None) -> str | None:
    if value is None:
        return None
    return f"{_in_utc(value).isoformat('T', 'microseconds')[:26]}Z"


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise InvariantViolation(f"{value.isoformat()} has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:  # a filter of the years 1 or 9999 in a zone far from Greenwich
        return _FIRST if value.year == 1 else _LAST
