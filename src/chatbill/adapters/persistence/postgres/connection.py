"""A connection to PostgreSQL whose statements share round trips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from chatbill.adapters.persistence.sql.connection import Connection, Database, Refusal, Row, not_text
from chatbill.adapters.persistence.sql.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError

if TYPE_CHECKING:
    from chatbill.adapters.persistence.postgres.pipeline import Pipeline, Result

ROWS_AT_A_TIME = 1_000


class Query(NamedTuple):
    """SQL with parameters like `%(name)s`, and the error to raise when it affects no row.

    `prepare` is for what is run often.
    """

    sql: str
    parameters: Mapping[str, Any] = MappingProxyType({})
    or_else: Refusal | None = None
    prepare: bool = True

    def failing(self) -> Query:
        """Return a statement that divides by zero, which aborts the transaction, where this one affects no row."""
        rows = self.sql if self.sql.startswith("SELECT") else f"{self.sql} RETURNING 1"
        return self._replace(sql=f"WITH affected AS ({rows}) SELECT 1 / count(*) FROM affected")  # noqa: S608


class PostgresConnection(Connection):
    """A connection that queues the statements of `put`, and sends them together with the next one that returns rows.

    All of them take one round trip. An error may be raised later
    than its cause. It is kept in `aborted_by`, and from then on the transaction can only be rolled back.

    In a transaction with savepoints nothing is queued and a savepoint guards each statement: an error is raised by the
    statement that caused it, and the work may continue after it.
    """

    def __init__(self, database: Database, raw: Any, pipeline: Pipeline, *, answer_within_s: float) -> None:
        super().__init__(database, raw)
        self._driver = database.driver
        self._answer_within_s = answer_within_s
        self._savepoints = False
        self._begin: Query | None = None
        self._queue: list[Query] = []
        self._cursor_numbers = itertools.count(1)
        self._pipeline = pipeline
        self.aborted_by: ChatbillError | None = None

    @property
    def is_lost(self) -> bool:
        """True once the connection cannot be used any more."""
        return bool(self.raw.closed)

    def begin(self, mode: str, *, savepoints: bool) -> None:
        """Begin a transaction with the next statement. `mode` is the rest of BEGIN."""
        self.failure = self.aborted_by = None
        self.raw.answer_within_s = self._answer_within_s
        self._savepoints = savepoints
        self._begin, self._queue = Query(f"BEGIN {mode}", prepare=False), []

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as SAVEPOINT."""
        self._send(Query(sql, prepare=False))

    def put(self, statement: Statement, *, or_else: Refusal | None = None, **parameters: Any) -> None:
        """Queue a statement that changes a row, or run it now in a transaction with savepoints."""
        if self._savepoints:
            super().put(statement, or_else=or_else, **parameters)
        else:
            self._enqueue(statement, parameters, or_else)

    def require(self, statement: Statement, *, or_else: Refusal, **parameters: Any) -> None:
        """Queue a statement that must find a row, or run it now in a transaction with savepoints."""
        if self._savepoints:
            super().require(statement, or_else=or_else, **parameters)
        else:
            self._enqueue(statement, parameters, or_else)

    def _enqueue(self, statement: Statement, parameters: dict[str, Any], or_else: Refusal | None) -> None:
        prepared = self._database.prepared(statement)
        self._queue.append(Query(prepared.sql, prepared.bound(parameters), or_else))

    def flush(self) -> None:
        """Send the queue."""
        if self._queue:
            self._send(None)

    def check_open(self) -> None:
        """Raise `StoreUnavailable` if the server is known to have closed the connection. Sends nothing."""
        try:
            # The first call may read the reason, and the second the end.
            self.raw.pgconn.consume_input()
            self.raw.pgconn.consume_input()
        except self._errors as error:
            raise self._translated(error) from error

    def scan(self, statement: Statement) -> Generator[Row, None, None]:
        """Yield every row, a thousand at a time, by a server-side cursor. No timeout applies until the next BEGIN."""
        self.raw.answer_within_s = math.inf
        self.command("SET LOCAL statement_timeout = 0")
        self.command("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor = f"scan_{next(self._cursor_numbers)}"
        prepared = self._database.prepared(statement)
        declare = f"DECLARE {cursor} NO SCROLL CURSOR FOR {prepared.sql}"
        self._send(Query(declare, prepared.constants, prepare=False))
        fetch = Query(f"FETCH {ROWS_AT_A_TIME} FROM {cursor}", prepare=False)
        while rows := self._send(fetch).fetchall():
            for row in rows:
                yield self._processed(row, prepared)

    def commit(self) -> None:
        """Commit. Raises `StoreUnavailable` when that failed, or when the outcome is unknown."""
        if self._begin and not self._queue:
            self._begin = None  # nothing was done
            return
        # A statement that changes nothing has to fail on the server, which commits before it answers.
        self._queue = [queued.failing() if queued.or_else else queued for queued in self._queue]
        if self._send(Query("COMMIT", prepare=False)).statusmessage != "COMMIT":
            self.failure = StoreUnavailable("The database gave up a transaction.")
            raise self.failure

    def rollback(self) -> None:
        """Roll back. A connection that cannot do even this is closed."""
        self._begin, self._queue = None, []
        try:
            if self.raw.info.transaction_status != self._driver.pq.TransactionStatus.IDLE:
                self.run_together([Query("ROLLBACK", prepare=False)])
        except self._errors:
            self.raw.close()

    def _execute(self, prepared: Prepared, parameters: dict[str, Any], by: Any = None) -> Any:  # noqa: ARG002
        statement = Query(prepared.sql, prepared.bound(parameters))
        if not self._savepoints:
            return self._send(statement)
        self.command("SAVEPOINT statement")
        try:
            cursor = self._send(statement)
        except ChatbillError:
            if self.failure is None:
                self.run_together([Query("ROLLBACK TO statement", prepare=False)])
                self.aborted_by = None
            raise
        self.command("RELEASE statement")
        return cursor

    def _send(self, last: Query | None) -> Any:
        """Send the queue and `last`; return the last result."""
        queue, self._queue = self._queue, []
        begin, self._begin = self._begin, None
        try:
            results = self.run_together([each for each in (begin, *queue, last) if each])
        except UnicodeEncodeError as error:
            if not queue:
                raise
            self.aborted_by = not_text(error)
            raise self._delayed(self.aborted_by) from error
        except self._errors as error:
            translation = self._translated(error)
            raise (self._delayed(translation) if queue else translation) from error
        for queued, result in zip(queue, results[1:] if begin else results, strict=False):
            if queued.or_else is not None and not result.rowcount:
                self.aborted_by = queued.or_else()
                raise self._delayed(self.aborted_by)
        return results[-1]

    def run_together(self, statements: Sequence[Query]) -> list[Result]:
        """Run the statements in one round trip. After one that fails, none is run. Raises the driver's error."""
        try:
            return self._pipeline.run(statements)
        except self._driver.DataError:
            _refuse_nul(each.parameters for each in statements)
            raise

    def _delayed(self, translation: ChatbillError) -> ChatbillError:
        """Return the error for a caller whose statement may not be the one that failed."""
        return translation if self.failure else StoreUnavailable("The transaction was aborted by an earlier statement.")

    def _translated(self, error: Exception) -> ChatbillError:
        if self.aborted_by and isinstance(error, self._driver.errors.InFailedSqlTransaction):
            return StoreUnavailable("The transaction was aborted by an earlier error.")
        translation = super()._translated(error)
        if self.failure is None:
            self.aborted_by = translation
        return translation


def _refuse_nul(values: Iterable[Mapping[str, Any]]) -> None:
    """Raise `UnicodeEncodeError` for a text with NUL, which PostgreSQL cannot keep."""
    for parameters in values:
        for value in parameters.values():
            if isinstance(value, str) and "\0" in value:
                place = value.index("\0")
                raise UnicodeEncodeError("utf-8", value, place, place + 1, "NUL is not allowed")
