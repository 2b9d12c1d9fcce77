"""A connection to PostgreSQL: it saves round trips, and knows that a statement that fails spoils its transaction."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from chatbill.adapters.persistence.postgres.wire import Answer, Message, Wire
from chatbill.adapters.persistence.sql.connection import Connection, Database, Row, not_text
from chatbill.adapters.persistence.sql.statements import Prepared, Statement
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError

ROWS_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class _Queued:
    """What will be sent with the next statement that answers, and what to raise where it changes nothing."""

    message: Message
    or_else: ChatbillError | None = None

    @property
    def is_statement(self) -> bool:
        """False for BEGIN."""
        return self.message.name is not None


class PostgresConnection(Connection):
    """As any `Connection`, with transactions that know what became of them.

    Statements of which nobody awaits an answer are queued, and sent together with the next one that answers. An error
    may so come later than its cause. It is kept in `spoilt_by`, and the transaction can only be given up.

    In `careful` transactions nothing is queued, and a savepoint guards each statement: an error comes where it belongs,
    and work may go on after it.
    """

    def __init__(self, database: Database, raw: Any, *, answer_within_s: float) -> None:
        super().__init__(database, raw)
        self._driver = database.driver
        self._careful = False
        self._queue: list[_Queued] = []
        self._cursors: dict[str, Any] = {}
        self._names = itertools.count(1)
        self._wire = Wire(raw, database.driver, answer_within_s=answer_within_s)
        self.spoilt_by: ChatbillError | None = None

    @property
    def is_lost(self) -> bool:
        """True once the connection is of no more use."""
        return bool(self.raw.closed)

    def command(self, sql: str) -> None:
        """Run a statement without parameters, such as SAVEPOINT."""
        self._send(Message(sql.encode()))

    def begin(self, how: str, *, careful: bool) -> None:
        """Begin a transaction: `how` is the rest of BEGIN."""
        self.failure = self.spoilt_by = None
        self._careful = careful
        self._queue = [_Queued(Message(f"BEGIN {how}".encode()))]

    def flush(self, *, everything: bool) -> None:
        """Send what is queued; or, without `everything`, only where COMMIT could not tell that it came to nothing."""
        if any(queued.is_statement and (everything or queued.or_else) for queued in self._queue):
            self._send(None)

    def commit(self) -> None:
        """Keep the transaction. `StoreUnavailable` where that failed, or where nobody knows."""
        self._close_cursors()
        if self.raw.info.transaction_status == self._driver.pq.TransactionStatus.IDLE and len(self._queue) == 1:
            self._queue = []  # nothing was done
        elif self._send(Message(b"COMMIT")).said != b"COMMIT":
            self.failure = StoreUnavailable("The database gave up a transaction.")
            raise self.failure

    def rollback(self) -> None:
        """Forget the transaction. A connection that cannot even do this is closed."""
        self._queue = []
        try:
            self._close_cursors()
            if self.raw.info.transaction_status != self._driver.pq.TransactionStatus.IDLE:
                self.raw.execute("ROLLBACK", prepare=False)
        except self._driver.Error:
            self.raw.close()

    def put(self, statement: Statement, *, or_else: ChatbillError | None = None, **parameters: Any) -> None:
        """As any connection's, and later, unless the transaction is careful."""
        if self._careful:
            super().put(statement, or_else=or_else, **parameters)
            return
        prepared = self._database.prepared(statement)
        try:
            message = self._wire.message(prepared.sql, prepared.bound(parameters))
        except UnicodeEncodeError as error:
            raise not_text(error) from error
        self._queue.append(_Queued(message, or_else))

    def scan(self, statement: Statement) -> Generator[Row, None, None]:
        """Every row, a thousand at a time, by a cursor of the server's. It may take its time, and so may who reads."""
        self.command("SET LOCAL statement_timeout = 0")
        self.command("SET LOCAL idle_in_transaction_session_timeout = 0")
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

    def _execute(self, prepared: Prepared, parameters: dict[str, Any]) -> Any:
        message = self._wire.message(prepared.sql, prepared.bound(parameters))
        if not self._careful:
            return self._send(message)
        self.command("SAVEPOINT statement")
        try:
            answer = self._send(message)
        except ChatbillError:
            if self.failure is None:
                self.command("ROLLBACK TO statement")
                self.spoilt_by = None
            raise
        self.command("RELEASE statement")
        return answer

    def _send(self, last: Message | None) -> Answer:
        """Send what is queued and `last`; return the last answer."""
        queue, self._queue = self._queue, []
        messages = [queued.message for queued in queue] + ([last] if last else [])
        try:
            answers = self._wire.send(messages)
        except self._errors as error:
            told = self._told(error)
            raise (self._told_late(told) if any(queued.is_statement for queued in queue) else told) from error
        for queued, answer in zip(queue, answers, strict=False):
            if queued.or_else is not None and not answer.rowcount:
                self.spoilt_by = queued.or_else
                raise self._told_late(self.spoilt_by)
        return answers[-1]

    def _told_late(self, told: ChatbillError) -> ChatbillError:
        """An error of some statement that was queued, or of the last: who is told of it now may not be its cause."""
        return told if self.failure else StoreUnavailable("The transaction is spoilt by an earlier statement.")

    def _told(self, error: Exception) -> ChatbillError:
        if self.spoilt_by and isinstance(error, self._driver.errors.InFailedSqlTransaction):
            # No new trouble, only what comes of the old.
            return StoreUnavailable("The transaction is spoilt by an earlier error.")
        told = super()._told(error)
        if self.failure is None:
            self.spoilt_by = told
        return told

    def _close_cursors(self) -> None:
        cursors, self._cursors = self._cursors, {}
        for cursor in cursors.values():
            cursor.close()
