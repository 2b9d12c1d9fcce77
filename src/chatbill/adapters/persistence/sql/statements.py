"""Statements that SQLAlchemy compiles once for each dialect, and the driver runs.

A charge is a dozen statements. Running one by SQLAlchemy's own `Connection.execute` takes several times as long as
SQLite needs for it, so a request uses only the compiled SQL and the types of SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Dialect,
    Insert,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import Boolean, TypeEngine

from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, Prefix
from chatbill.adapters.persistence.sql.types import Id, UtcDateTime

Processor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """SQL for one dialect, with the conversions of parameters and results."""

    sql: str
    constants: dict[str, Any]
    binds: tuple[tuple[str, Processor], ...]
    results: tuple[tuple[int, Processor], ...]
    order: Callable[[dict[str, Any]], Any]

    def bound(self, parameters: dict[str, Any]) -> Any:
        """Return the parameters as the driver takes them: by name or in order. Changes the given dictionary."""
        for name, processor in self.binds:
            parameters[name] = processor(parameters[name])
        return self.order(self.constants | parameters if self.constants else parameters)


class Statement:
    """A Core statement with named parameters. Made once, at module level; compared by identity.

    `columns` are those that an UPDATE sets, each from a parameter of its name.
    """

    def __init__(self, clause: ClauseElement, *, columns: tuple[str, ...] | None = None) -> None:
        self._clause = clause
        self._columns = columns

    def prepare(self, dialect: Dialect, prefix: Prefix = NO_PREFIX) -> Prepared:
        """Compile for a dialect, with the prefix at the names of tables."""
        compiled = self._clause.compile(
            dialect=dialect, column_keys=None if self._columns is None else list(self._columns)
        )
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what else a statement compiles to is DDL
        selected = self._clause.selected_columns if isinstance(self._clause, Select) else ()
        binds = ((name, _processor(bind.type, dialect, result=False)) for name, bind in compiled.binds.items())
        results = ((index, _processor(column.type, dialect, result=True)) for index, column in enumerate(selected))
        return Prepared(
            sql=prefix.applied(str(compiled)),
            constants={name: value for name, value in compiled.params.items() if value is not None},
            binds=tuple((name, processor) for name, processor in binds if processor),
            results=tuple((index, processor) for index, processor in results if processor),
            order=_order(compiled.positiontup),
        )


def _order(names: Sequence[str] | None) -> Callable[[dict[str, Any]], Any]:
    """Return what gives the parameters in this order; None leaves them named."""
    if names is None:
        return lambda parameters: parameters
    if len(names) > 1:
        return itemgetter(*names)
    return lambda parameters: [parameters[name] for name in names]


def _processor(type_: TypeEngine[Any], dialect: Dialect, *, result: bool) -> Processor | None:
    implementation = type_.dialect_impl(dialect)
    return implementation.result_processor(dialect, None) if result else implementation.bind_processor(dialect)


def all_of(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """Select every column of the table, in its order."""
    return select(*table.c.values()).where(*where)


def insert(table: Table) -> Statement:
    """Insert one row, every column from a parameter of its name."""
    return Statement(Insert(table))


def insert_if_new(table: Table) -> Statement:
    """Insert unless a unique key exists already. Waits for another transaction that inserts the same key."""
    return Statement(_InsertIfNew(table))


def upsert(table: Table) -> Statement:
    """Insert one row, or set the other columns of the row with its primary key."""
    return Statement(_Upsert(table))


def update(table: Table, *columns: str, where: tuple[ColumnElement[bool], ...]) -> Statement:
    """Set these columns, each from a parameter of its name."""
    return Statement(Update(table).where(*where), columns=columns)


def locking(query: Select[Any]) -> Select[Any]:
    """Lock the rows found against changes until the transaction ends.

    Rows that refer to them may still be added: a payment that names a wallet does not change the wallet. SQLite needs
    no such lock, because it has one writer.
    """
    return query.with_for_update(key_share=True)


def equals(column: Column[Any]) -> ColumnElement[bool]:
    """Compare the column with the parameter of its name."""
    return column == bindparam(column.name)


def past(at: Column[Any], id_: Column[Any]) -> ColumnElement[bool]:
    """Select what is older than the position in the parameters `after_at` and `after_id`."""
    after = tuple_(bindparam("after_at", type_=UtcDateTime()), bindparam("after_id", type_=Id))
    return tuple_(at, id_) < after


def limit() -> BindParameter[int]:
    """Return the parameter `limit`."""
    return bindparam("limit")


class Among(ColumnElement[bool]):
    """Tests whether an id is in the parameter `among`, a JSON list of any length."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.among: BindParameter[str] = bindparam("among", type_=Text())


@compiles(Among, "sqlite")
def _each_by_sqlite(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, among = compiler.process(element.column, **kwargs), compiler.process(element.among, **kwargs)
    return f"{column} IN (SELECT value FROM json_each({among}))"  # noqa: S608 - made of compiled parts


@compiles(Among, "postgresql")
def _each_by_server(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Use an array, so that the server looks up each id, although it cannot estimate their number."""
    column, among = compiler.process(element.column, **kwargs), compiler.process(element.among, **kwargs)
    return f"{column} = ANY(ARRAY(SELECT json_array_elements_text(CAST({among} AS json))))"


class ContainsText(ColumnElement[bool]):
    """Tests whether a text contains the parameter `needle`, regardless of letter case."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.needle: BindParameter[str] = bindparam("needle", type_=column.type)


@compiles(ContainsText, "sqlite")
def _by_python(element: ContainsText, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Use Python's `casefold`, which the connections add to SQLite, because SQLite folds ASCII only."""
    column, needle = compiler.process(element.column, **kwargs), compiler.process(element.needle, **kwargs)
    return f"instr(casefold({column}), casefold({needle})) > 0"


@compiles(ContainsText, "postgresql")
def _by_server(element: ContainsText, compiler: SQLCompiler, **kwargs: Any) -> str:
    """Use the folding that the server has, which depends on its version and build; see `postgres.driver`."""
    fold: str = compiler.dialect.case_folding  # type: ignore[attr-defined]
    column, needle = compiler.process(element.column, **kwargs), compiler.process(element.needle, **kwargs)
    return f"strpos({fold.format(column)}, {fold.format(needle)}) > 0"


class _InsertIfNew(Insert):
    inherit_cache = False


@compiles(_InsertIfNew)
def _on_conflict_do_nothing(insertion: Insert, compiler: SQLCompiler, **kwargs: Any) -> str:
    written = compiler.visit_insert(insertion, **kwargs)  # type: ignore[no-untyped-call]
    return f"{written} ON CONFLICT DO NOTHING"


class _Upsert(Insert):
    inherit_cache = False


@compiles(_Upsert)
def _on_conflict_do_update(insertion: Insert, compiler: SQLCompiler, **kwargs: Any) -> str:
    written, table = compiler.visit_insert(insertion, **kwargs), insertion.table  # type: ignore[no-untyped-call]
    keys = ", ".join(column.name for column in table.primary_key)
    changes = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.c if not column.primary_key)
    return f"{written} ON CONFLICT ({keys}) DO UPDATE SET {changes}"
