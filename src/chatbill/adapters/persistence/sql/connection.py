"""A driver's connection that runs prepared statements and translates errors for the application."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

from sqlalchemy import Dialect

from chatbill.adapters.persistence.sql.errors import translated
from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, Prefix
from chatbill.adapters.persistence.sql.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError, InvalidRequest

Row = Sequence[Any]
Refusal = Callable[[], ChatbillError]

# Stores of one process share them: an app may open several, and a suite of tests opens hundreds.
_prepare = lru_cache(maxsize=4_096)(Statement.prepare)


class Database:
    """Holds what all connections to one database share: dialect, driver, and the statements prepared so far.

    `translate` returns the application's error for one of the driver. By default only its class is considered.
    `prefix` is that of the database's tables.
    """

    def __init__(
        self,
        dialect: Dialect,
        driver: ModuleType,
        *,
        translate: Callable[[Exception], ChatbillError] | None = None,
        prefix: Prefix = NO_PREFIX,
    ) -> None:
        self.dialect = dialect
        self.prefix = prefix
        self._prepared: dict[Statement, Prepared] = {}
        self.driver = driver
        self.translate = translate or partial(translated, driver=driver)

    def use(self, dialect: Dialect) -> None:
        """Prepare statements in this dialect from now on: only the server says which one of its kind it has."""
        if dialect is not self.dialect:
            self.dialect, self._prepared = dialect, {}

    def prepared(self, statement: Statement) -> Prepared:
        """Return the statement in the dialect of this database."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = _prepare(statement, self.dialect, self.prefix)
        return prepared


class Connection:
    """A connection for one thread at a time.

    A statement that violates a constraint raises the domain's error for it. Any other failure is `StoreUnavailable` and
    stays in `failure` even if the work catches it: the transaction must not be committed.
    """

    def __init__(self, database: Database, raw: Any) -> None:
        self._database = database
        self._errors: type[Exception] = database.driver.Error
        self.raw = raw
        self._changing = raw
        self.failure: StoreUnavailable | None = None

    @property
    def dialect_name(self) -> str:
        """Return `sqlite` or `postgresql`."""
        return self._database.dialect.name

    @property
    def prefix(self) -> Prefix:
        """Return the prefix of the names of the database's tables, triggers and constraints."""
        return self._database.prefix

    def close(self) -> None:
        """Close the connection in any state."""
        with contextlib.suppress(Exception):
            self.raw.close()

    def check_files(self) -> None:
        """Raise `StoreUnavailable` if a new connection would not find what is written through this one."""

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as COMMIT."""
        try:
            self.raw.execute(sql)
        except self._errors as error:
            raise self._translated(error) from error

    def run(self, statement: Statement, **parameters: Any) -> int:
        """Run a statement that changes rows; return their number."""
        return self.change(statement, parameters)

    def put(self, statement: Statement, *, or_else: Refusal | None = None, **parameters: Any) -> None:
        """Run a statement that changes a row. Raises the error that `or_else` returns if it changed none.

        A networked database may run it later: with the next statement that returns rows, or at the end.
        """
        if not self.change(statement, parameters) and or_else is not None:
            raise or_else()

    def require(self, statement: Statement, *, or_else: Refusal, **parameters: Any) -> None:
        """Raise the error that `or_else` returns if the statement finds no row. It may be run later, as by `put`."""
        if self.one(statement, **parameters) is None:
            raise or_else()

    def one(self, statement: Statement, **parameters: Any) -> Row | None:
        """Return the first row, or None."""
        prepared = self._database.prepared(statement)
        try:
            row = self._execute(prepared, parameters).fetchone()
        except self._errors as error:
            raise self._translated(error) from error
        except UnicodeEncodeError:  # such a text cannot be stored, so no row has it
            return None
        return None if row is None else self._processed(row, prepared)

    def all(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Return every row."""
        return list(self.stream(statement, **parameters))

    def stream(self, statement: Statement, **parameters: Any) -> Generator[Row, None, None]:
        """Yield every row."""
        prepared = self._database.prepared(statement)
        try:
            cursor = self._execute(prepared, parameters)
        except UnicodeEncodeError:
            return
        try:
            for row in cursor:
                yield self._processed(row, prepared)
        except self._errors as error:
            raise self._translated(error) from error
        finally:
            cursor.close()

    def scan(self, statement: Statement) -> Generator[Row, None, None]:
        """Yield every row of a statement without parameters, without holding all of them in memory.

        A caller that stops before the end must close the generator, on the thread of the connection.
        """
        return self.stream(statement)

    def change(self, statement: Statement, parameters: dict[str, Any]) -> int:
        """Run a statement that changes rows; return their number. `run` and `put` do it by this method."""
        try:
            return int(self._execute(self._database.prepared(statement), parameters, self._changing).rowcount)
        except UnicodeEncodeError as error:
            raise not_text(error) from error

    def _execute(self, prepared: Prepared, parameters: dict[str, Any], by: Any = None) -> Any:
        """Run a statement by the connection, or by a cursor of it."""
        bound = prepared.bound(parameters)
        try:
            return (by or self.raw).execute(prepared.sql, bound)
        except self._errors as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> ChatbillError:
        translation = self._database.translate(error)
        if isinstance(translation, StoreUnavailable):
            self.failure = translation
        return translation

    @staticmethod
    def _processed(row: Row, prepared: Prepared) -> Row:
        if not prepared.results:
            return row
        values = list(row)
        for index, processor in prepared.results:
            values[index] = processor(values[index])
        return values


def not_text(error: UnicodeEncodeError) -> InvalidRequest:
    """Return the error for a text that cannot be stored."""
    return InvalidRequest.of("text", "not_unicode", cause=error.reason)
