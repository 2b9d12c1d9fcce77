"""A connection to PostgreSQL whose statements share round trips."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from chatbill.adapters.persistence.sql.connection import Connection, Database, Refusal, Row, not_text
from chatbill.adapters.persistence.sql.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError

ROWS_AT_A_TIME = 1_000


class _Queued(NamedTuple):
    """A statement to send, and the error to raise when it changes no row."""

    sql: str
    parameters: dict[str, Any] | None = None
    or_else: Refusal | None = None
    prepare: bool = True


class PostgresConnection(Connection):
    """A connection that queues the statements of `put`, and sends them together with the next one that returns rows.

    The connection stays in psycopg's pipeline mode, so all of them take one round trip. An error may be raised later
    than its cause. It is kept in `aborted_by`, and from then on the transaction can only be rolled back.

    In a transaction with savepoints nothing is queued and a savepoint guards each statement: an error is raised by the
    statement that caused it, and the work may continue after it.
    """

    def __init__(self, database: Database, raw: Any, *, answer_within_s: float) -> None:
        super().__init__(database, raw)
        self._driver = database.driver
        self._answer_within_s = answer_within_s
        self._savepoints = False
        self._begin: _Queued | None = None
        self._queue: list[_Queued] = []
        self._cursor_numbers = itertools.count(1)
        self._open = contextlib.ExitStack()
        self._pipeline = self._open.enter_context(raw.pipeline())
        self.aborted_by: ChatbillError | None = None

    @property
    def is_lost(self) -> bool:
        """True once the connection cannot be used any more."""
        return bool(self.raw.closed)

    def close(self) -> None:
        """Close the connection in any state."""
        super().close()
        # Only now, because leaving the mode asks an open connection for its last results.
        with contextlib.suppress(self._errors):
            self._open.close()

    def begin(self, mode: str, *, savepoints: bool) -> None:
        """Begin a transaction with the next statement. `mode` is the rest of BEGIN."""
        self.failure = self.aborted_by = None
        self.raw.answer_within_s = self._answer_within_s
        self._savepoints = savepoints
        self._begin, self._queue = _Queued(f"BEGIN {mode}", prepare=False), []

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as SAVEPOINT."""
        self._send(_Queued(sql, prepare=False))

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
        self._queue.append(_Queued(prepared.sql, prepared.bound(parameters), or_else))

    def flush(self, *, everything: bool) -> None:
        """Send the queue. Without `everything`, only if it has a statement that must change a row.

        COMMIT reports an error of a statement before it, but not a statement that changed nothing.
        """
        if any(everything or queued.or_else for queued in self._queue):
            self._send(None)

    def scan(self, statement: Statement) -> Generator[Row, None, None]:
        """Yield every row, a thousand at a time, by a server-side cursor. No timeout applies until the next BEGIN."""
        self.raw.answer_within_s = math.inf
        self.command("SET LOCAL statement_timeout = 0")
        self.command("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor = f"scan_{next(self._cursor_numbers)}"
        prepared = self._database.prepared(statement)
        declare = f"DECLARE {cursor} NO SCROLL CURSOR FOR {prepared.sql}"
        self._send(_Queued(declare, prepared.constants, prepare=False))
        fetch = _Queued(f"FETCH {ROWS_AT_A_TIME} FROM {cursor}", prepare=False)
        while rows := self._send(fetch).fetchall():
            for row in rows:
                yield self._processed(row, prepared)

    def commit(self) -> None:
        """Commit. Raises `StoreUnavailable` when that failed, or when the outcome is unknown."""
        if self._begin and not self._queue:
            self._begin = None  # nothing was done
        elif self._send(_Queued("COMMIT", prepare=False)).statusmessage != "COMMIT":
            self.failure = StoreUnavailable("The database gave up a transaction.")
            raise self.failure

    def rollback(self) -> None:
        """Roll back. A connection that cannot do even this is closed."""
        self._begin, self._queue = None, []
        try:
            if self.raw.info.transaction_status != self._driver.pq.TransactionStatus.IDLE:
                self._run_together([_Queued("ROLLBACK", prepare=False)])
        except self._errors:
            self.raw.close()

    def _execute(self, prepared: Prepared, parameters: dict[str, Any]) -> Any:
        statement = _Queued(prepared.sql, prepared.bound(parameters))
        if not self._savepoints:
            return self._send(statement)
        self.command("SAVEPOINT statement")
        try:
            cursor = self._send(statement)
        except ChatbillError:
            if self.failure is None:
                self._run_together([_Queued("ROLLBACK TO statement", prepare=False)])
                self.aborted_by = None
            raise
        self.command("RELEASE statement")
        return cursor

    def _send(self, last: _Queued | None) -> Any:
        """Send the queue and `last`; return the cursor with the last result."""
        queue, self._queue = self._queue, []
        begin, self._begin = self._begin, None
        try:
            cursors = self._run_together([each for each in (begin, *queue, last) if each])
        except UnicodeEncodeError as error:
            if not queue:
                raise
            self.aborted_by = not_text(error)
            raise self._delayed(self.aborted_by) from error
        except self._errors as error:
            translation = self._translated(error)
            raise (self._delayed(translation) if queue else translation) from error
        for queued, cursor in zip(queue, cursors[1:] if begin else cursors, strict=False):
            if queued.or_else is not None and not cursor.rowcount:
                self.aborted_by = queued.or_else()
                raise self._delayed(self.aborted_by)
        return cursors[-1]

    def _run_together(self, statements: list[_Queued]) -> list[Any]:
        """Run the statements in one round trip. After one that fails, none is run."""
        try:
            cursors = [self.raw.execute(each.sql, each.parameters, prepare=each.prepare) for each in statements]
            self._pipeline.sync()
        except self._errors as error:
            self._skip_results()
            if isinstance(error, self._driver.DataError):
                _refuse_nul(each.parameters for each in statements)
            raise
        return cursors

    def _skip_results(self) -> None:
        """After an error, read the results that are left, which say that nothing more was run."""
        while not self.raw.closed:
            try:
                self._pipeline.sync()
            except self._driver.errors.PipelineAborted:
                continue
            except self._errors:
                self.raw.close()
            return

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


def _refuse_nul(values: Iterable[dict[str, Any] | None]) -> None:
    """Raise `UnicodeEncodeError` for a text with NUL, which PostgreSQL cannot keep."""
    for parameters in values:
        for value in (parameters or {}).values():
            if isinstance(value, str) and "\0" in value:
                place = value.index("\0")
                raise UnicodeEncodeError("utf-8", value, place, place + 1, "NUL is not allowed")
