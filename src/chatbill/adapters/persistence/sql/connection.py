"""A driver's connection that runs prepared statements and tells its errors in the application's words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from sqlalchemy import Dialect

from chatbill.adapters.persistence.sql.errors import translated
from chatbill.adapters.persistence.sql.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError, InvalidRequest

Row = Sequence[Any]


class Database:
    """What all connections to one database share: dialect, driver, and the statements prepared so far.

    `told` gives the application's error for one of the driver's; not given, it goes by the classes of errors alone.
    """

    def __init__(
        self, dialect: Dialect, driver: ModuleType, *, told: Callable[[Exception], ChatbillError] | None = None
    ) -> None:
        self.dialect = dialect
        self._prepared: dict[Statement, Prepared] = {}
        self.driver = driver
        self.told = told or partial(translated, driver=driver)

    def prepared(self, statement: Statement) -> Prepared:
        """The statement in this database's dialect."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = statement.prepare(self.dialect)
        return prepared


class Connection:
    """One connection, for one thread at a time.

    A statement that breaks a constraint raises the domain's error for it. Any other failure is `StoreUnavailable` and
    stays in `failure`, whoever caught it: what was done since the transaction began cannot be trusted any more.
    """

    def __init__(self, database: Database, raw: Any) -> None:
        self._database = database
        self._errors: type[Exception] = database.driver.Error
        self.raw = raw
        self.failure: StoreUnavailable | None = None

    @property
    def dialect_name(self) -> str:
        """Which database it is: `sqlite` or `postgresql`."""
        return self._database.dialect.name

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        with contextlib.suppress(Exception):
            self.raw.close()

    def check_place(self) -> None:
        """Raise `StoreUnavailable` where what is written here would not be found by who connects anew."""

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as COMMIT."""
        try:
            self.raw.execute(sql)
        except self._errors as error:
            raise self._told(error) from error

    def run(self, statement: Statement, **parameters: Any) -> int:
        """Run a statement that changes rows; return how many."""
        try:
            return int(self._execute(self._database.prepared(statement), parameters).rowcount)
        except UnicodeEncodeError as error:
            raise not_text(error) from error

    def put(self, statement: Statement, *, or_else: ChatbillError | None = None, **parameters: Any) -> None:
        """Run a statement that changes a row. Raises `or_else` where it changed none.

        A database that is asked over a network may run it later: before the next statement that answers, or the end.
        """
        if not self.run(statement, **parameters) and or_else is not None:
            raise or_else

    def one(self, statement: Statement, **parameters: Any) -> Row | None:
        """The first row, if there is one."""
        prepared = self._database.prepared(statement)
        try:
            row = self._execute(prepared, parameters).fetchone()
        except self._errors as error:
            raise self._told(error) from error
        except UnicodeEncodeError:  # nothing is kept under a name that is no text
            return None
        return None if row is None else self._processed(row, prepared)

    def all(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Every row."""
        return list(self.stream(statement, **parameters))

    def stream(self, statement: Statement, **parameters: Any) -> Generator[Row, None, None]:
        """Every row, one at a time."""
        prepared = self._database.prepared(statement)
        try:
            cursor = self._execute(prepared, parameters)
        except UnicodeEncodeError:
            return
        try:
            for row in cursor:
                yield self._processed(row, prepared)
        except self._errors as error:
            raise self._told(error) from error
        finally:
            cursor.close()

    def scan(self, statement: Statement) -> Generator[Row, None, None]:
        """Every row of a statement without parameters, however many there are: they are never all in memory.

        Whoever leaves it before its end closes it, on the thread that the connection is for.
        """
        return self.stream(statement)

    def _execute(self, prepared: Prepared, parameters: dict[str, Any]) -> Any:
        parameters = prepared.bound(parameters)
        try:
            return self.raw.execute(prepared.sql, parameters)
        except self._errors as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> ChatbillError:
        told = self._database.told(error)
        if isinstance(told, StoreUnavailable):
            self.failure = told
        return told

    @staticmethod
    def _processed(row: Row, prepared: Prepared) -> Row:
        if not prepared.results:
            return row
        values = list(row)
        for index, processor in prepared.results:
            values[index] = processor(values[index])
        return values


def not_text(error: UnicodeEncodeError) -> InvalidRequest:
    """Why a text cannot be kept."""
    return InvalidRequest.of("text", f"must be valid Unicode text: {error.reason}")
