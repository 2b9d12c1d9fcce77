"""A connection to PostgreSQL, where a statement that fails spoils its whole transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from chatbill.adapters.persistence.connection import Connection, Database, Row
from chatbill.adapters.persistence.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.errors import ChatbillError

ROWS_AT_A_TIME = 1_000


class PostgresConnection(Connection):
    """As any `Connection`, with transactions that know what became of them.

    `careful` transactions guard each statement with a savepoint, so that work may go on after one that broke a rule.
    In others that error is kept in `spoilt_by`, and the transaction can only be given up.
    """

    def __init__(self, database: Database, raw: Any) -> None:
        super().__init__(database, raw)
        self._driver = database.driver
        self._careful = False
        self._cursors: dict[str, Any] = {}
        self._names = itertools.count(1)
        self.spoilt_by: ChatbillError | None = None

    @property
    def is_lost(self) -> bool:
        """True once the connection is of no more use."""
        return bool(self.raw.closed)

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as SAVEPOINT."""
        self._send(sql)

    def begin(self, how: str, *, careful: bool) -> None:
        """Begin a transaction: `how` is the rest of BEGIN."""
        self.failure = self.spoilt_by = None
        self._careful = careful
        self.command(f"BEGIN {how}")

    def commit(self) -> None:
        """Keep the transaction. `StoreUnavailable` where that failed, or where nobody knows."""
        self._close_cursors()
        if self._send("COMMIT").statusmessage != "COMMIT":
            self.failure = StoreUnavailable("The database gave up a transaction.")
            raise self.failure

    def rollback(self) -> None:
        """Forget the transaction. A connection that cannot even do this is closed."""
        try:
            self._close_cursors()
            self.raw.execute("ROLLBACK", prepare=False)
        except self._driver.Error:
            self.raw.close()

    def scan(self, statement: Statement) -> Iterator[Row]:
        """Every row, a thousand at a time, by a cursor of the server's. Such a statement may take its time."""
        self.command("SET LOCAL statement_timeout = 0")
        name = f"scan_{next(self._names)}"
        prepared = self._database.prepared(statement)
        cursor = self._cursors[name] = self.raw.cursor(name)
        cursor.itersize = ROWS_AT_A_TIME
        try:
            cursor.execute(prepared.sql, prepared.constants)
            for row in cursor:
                yield self._processed(row, prepared)
        except self._errors as error:
            raise self._told(error) from error
        finally:
            # Unless the transaction has ended meanwhile: by now the connection may be in another one.
            if name in self._cursors:
                self._cursors.pop(name).close()

    def _send(self, sql: str) -> Any:
        try:
            return self.raw.execute(sql, prepare=False)
        except self._errors as error:
            raise self._told(error) from error

    def _execute(self, prepared: Prepared, parameters: dict[str, Any]) -> Any:
        for name, value in parameters.items():
            if isinstance(value, str) and "\0" in value:
                raise UnicodeEncodeError("utf-8", value, value.index("\0"), value.index("\0") + 1, f"NUL in {name}")
        if not self._careful:
            return super()._execute(prepared, parameters)
        self.command("SAVEPOINT statement")
        try:
            cursor = super()._execute(prepared, parameters)
        except ChatbillError:
            if self.failure is None:
                self.command("ROLLBACK TO statement")
                self.spoilt_by = None
            raise
        self.command("RELEASE statement")
        return cursor

    def _told(self, error: Exception) -> ChatbillError:
        if self.spoilt_by and isinstance(error, self._driver.errors.InFailedSqlTransaction):
            # No new trouble, only what comes of the old.
            return StoreUnavailable("The transaction is spoilt by an earlier error.")
        told = super()._told(error)
        if self.raw.info.transaction_status == self._driver.pq.TransactionStatus.INERROR:
            self.spoilt_by = told
        return told

    def _close_cursors(self) -> None:
        cursors, self._cursors = self._cursors, {}
        for cursor in cursors.values():
            cursor.close()
