"""Statements that SQLAlchemy writes once for each dialect, and the driver then runs as they are.

A charge is a dozen statements. Running each by SQLAlchemy's own `Connection.execute` costs several times what SQLite
needs for it, so only the writing of SQL and the types of SQLAlchemy are used on the way of a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """SQL for one dialect, with what must be done to the values that go in and come out."""

    sql: str
    constants: dict[str, Any]
    binds: tuple[tuple[str, Processor], ...]
    results: tuple[tuple[int, Processor], ...]

    def bound(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as the driver takes them. Those given are changed."""
        for name, processor in self.binds:
            parameters[name] = processor(parameters[name])
        return self.constants | parameters if self.constants else parameters


class Statement:
    """A Core statement with named parameters. Made once, at module level; compared by identity.

    `columns` are those that an UPDATE sets, each from a parameter of its name.
    """

    def __init__(self, clause: ClauseElement, *, columns: tuple[str, ...] | None = None) -> None:
        self._clause = clause
        self._columns = columns

    def prepare(self, dialect: Dialect, prefix: Prefix = NO_PREFIX) -> Prepared:
        """Compile for a dialect whose parameters are named, with the prefix at the names of tables."""
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
        )


def _processor(type_: TypeEngine[Any], dialect: Dialect, *, result: bool) -> Processor | None:
    implementation = type_.dialect_impl(dialect)
    return implementation.result_processor(dialect, None) if result else implementation.bind_processor(dialect)


def all_of(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """Every column of the table, in its order."""
    return select(*table.c.values()).where(*where)


def insert(table: Table) -> Statement:
    """One row, every column from a parameter of its name."""
    return Statement(Insert(table))


def insert_if_new(table: Table) -> Statement:
    """As `insert`, and nothing happens where a unique key is there already. Waits for another who inserts the same."""
    return Statement(_InsertIfNew(table))


def update(table: Table, *columns: str, where: tuple[ColumnElement[bool], ...]) -> Statement:
    """Set these columns, each from a parameter of its name."""
    return Statement(Update(table).where(*where), columns=columns)


def locking(query: Select[Any]) -> Select[Any]:
    """The rows found, which nobody else changes or deletes until the transaction ends.

    What refers to them may still be added meanwhile: that a payment names a wallet is no change of the wallet. SQLite
    needs no such lock, since one alone writes.
    """
    return query.with_for_update(key_share=True)


def equals(column: Column[Any]) -> ColumnElement[bool]:
    """The column equals the parameter of its name."""
    return column == bindparam(column.name)


def past(at: Column[Any], id_: Column[Any]) -> ColumnElement[bool]:
    """Older than the position that the parameters `after_at` and `after_id` give."""
    after = tuple_(bindparam("after_at", type_=UtcDateTime()), bindparam("after_id", type_=Id))
    return tuple_(at, id_) < after


def limit() -> BindParameter[int]:
    """The parameter of this name."""
    return bindparam("limit")


class Among(ColumnElement[bool]):
    """Whether a column of ids has one of those in the parameter `among`: any number of them, as a list in JSON."""

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
    """As an array, so that the server looks each id up, however little it knows of how many there are."""
    column, among = compiler.process(element.column, **kwargs), compiler.process(element.among, **kwargs)
    return f"{column} = ANY(ARRAY(SELECT json_array_elements_text(CAST({among} AS json))))"


class ContainsText(ColumnElement[bool]):
    """Whether a text contains the parameter `needle`, whatever the letter case of either."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.needle: BindParameter[str] = bindparam("needle", type_=column.type)


@compiles(ContainsText, "sqlite")
def _by_python(element: ContainsText, compiler: SQLCompiler, **kwargs: Any) -> str:
    """SQLite folds the case of ASCII only, so its connections are given Python's `casefold`."""
    column, needle = compiler.process(element.column, **kwargs), compiler.process(element.needle, **kwargs)
    return f"instr(casefold({column}), casefold({needle})) > 0"


@compiles(ContainsText, "postgresql")
def _by_server(element: ContainsText, compiler: SQLCompiler, **kwargs: Any) -> str:
    """What a server can fold depends on its version and how it was built; see `postgres_driver`."""
    fold: str = getattr(compiler.dialect, "case_folding", "lower({})")
    column, needle = compiler.process(element.column, **kwargs), compiler.process(element.needle, **kwargs)
    return f"strpos({fold.format(column)}, {fold.format(needle)}) > 0"


class _InsertIfNew(Insert):
    inherit_cache = False


@compiles(_InsertIfNew)
def _on_conflict_do_nothing(insertion: Insert, compiler: SQLCompiler, **kwargs: Any) -> str:
    written = compiler.visit_insert(insertion, **kwargs)  # type: ignore[no-untyped-call]
    return f"{written} ON CONFLICT DO NOTHING"
