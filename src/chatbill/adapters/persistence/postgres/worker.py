"""The threads that run transactions on PostgreSQL, each on a connection of its own."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from chatbill.adapters.persistence.postgres.connection import PostgresConnection
from chatbill.adapters.persistence.postgres.errors import asks_for_another_try, is_passing
from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.threads.jobs import AnyJob, deliver, too_late
from chatbill.adapters.persistence.threads.queues import JobQueue
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError

TO_WRITE = "ISOLATION LEVEL READ COMMITTED READ WRITE"
TO_READ = "ISOLATION LEVEL REPEATABLE READ READ ONLY"

MAX_ATTEMPTS = 6
FIRST_PAUSE_S = 0.01
WITHOUT_CONNECTION_S = 0.5
"""How long a thread that got no connection leaves all work to those that have one."""

_log = logging.getLogger(__name__)


class Workers:
    """Runs jobs on `threads` threads, each in a transaction of its own that begins with `how`."""

    def __init__(
        self, name: str, connect: Callable[[], PostgresConnection], how: str, *, threads: int, queue_size: int
    ) -> None:
        self._connect = connect
        self._how = how
        self._workers: list[Worker] = []
        self.jobs = JobQueue(name, self._serve, threads=threads, size=queue_size)

    def _serve(self, jobs: JobQueue) -> None:
        worker = Worker(self._connect, self._how)
        self._workers.append(worker)
        while taken := jobs.take():
            job = taken.pop()
            if not worker.connects() and any(other.is_connected for other in self._workers):
                # The server has no connection left for this one: the others are enough.
                jobs.put_back(job)
                time.sleep(WITHOUT_CONNECTION_S)
            elif job.claim():
                worker.run(job)
                deliver((job,))
            del job  # not to be kept alive while waiting for the next
        worker.close()


class _TryAgain(Exception):
    """Nothing was kept of the attempt, and another one may do better; or else `trouble` is what to tell."""

    def __init__(self, trouble: Exception, *, careful: bool = False) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble
        self.careful = careful


class Worker:
    """One thread's connection: made when it is needed, and made anew when it was lost."""

    def __init__(self, connect: Callable[[], PostgresConnection], how: str) -> None:
        self._connect = connect
        self._how = how
        self._connection: PostgresConnection | None = None
        self._transaction: SqlTransaction | None = None

    @property
    def is_connected(self) -> bool:
        """True where it has a connection that it has not found lost."""
        return self._connection is not None

    def connects(self) -> bool:
        """Whether it has a connection, made now where it has none."""
        with contextlib.suppress(StoreUnavailable):
            self._ready()
        return self.is_connected

    def run(self, job: AnyJob) -> None:
        """Run the job's work, more than once where an attempt came to nothing, until it has waited for too long."""
        if job.is_late:
            job.fail(too_late())
            return
        careful = False
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                job.succeed(self._attempt(job.work, careful=careful))
            except _TryAgain as again:
                careful = careful or again.careful
                # With savepoints it is run once more however late it is: what went wrong may be what it waits for.
                if attempt == MAX_ATTEMPTS or (not again.careful and job.is_late):
                    job.fail(again.trouble)
                    return
                if not again.careful:
                    _log.info("a transaction is tried again: %s", again)
                    time.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - so that two part
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                job.fail(error)
                return
            else:
                return

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._transaction = self._connection, None, None
        if connection:
            with contextlib.suppress(Exception):
                connection.raw.close()

    def _attempt(self, work: Callable[[Any], Any], *, careful: bool) -> Any:
        connection, transaction = self._ready()
        value: Any = None
        raised: BaseException | None = None
        try:
            connection.begin(self._how, careful=careful)
            value = work(transaction)
            connection.flush(everything=False)
        except BaseException as error:  # noqa: BLE001 - what it means depends on the transaction
            raised = error
            # What it raised may come of a statement that was queued and would have failed.
            with contextlib.suppress(ChatbillError):
                connection.flush(everything=True)
        if connection.failure:
            self._give_up(connection, connection.failure)
        if raised is not None or connection.spoilt_by:
            connection.rollback()
            if connection.spoilt_by and raised is not connection.spoilt_by:
                # The work went on after a rule was broken, which takes a savepoint for each statement.
                raise _TryAgain(connection.spoilt_by, careful=True)
            assert raised is not None  # noqa: S101 - for the type checker: else the line above has raised
            raise raised
        self._commit(connection)
        return value

    def _give_up(self, connection: PostgresConnection, failure: StoreUnavailable) -> None:
        """Nothing was kept: COMMIT was not sent, so the work may be run again where that can help."""
        connection.rollback()
        again = connection.is_lost or asks_for_another_try(failure.__cause__)
        if connection.is_lost or not is_passing(failure.__cause__):
            # A server that became a standby, for one, is of no more use: the next connection may find the new one.
            self.close()
        if again:
            raise _TryAgain(failure)
        raise failure

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            connection.commit()
        except StoreUnavailable as failure:
            connection.rollback()
            if connection.is_lost:
                # Nobody knows what became of it, so it must not be run again here.
                self.close()
            elif connection.failure is None and connection.spoilt_by:
                raise _TryAgain(connection.spoilt_by, careful=True) from failure
            elif asks_for_another_try(failure.__cause__):
                raise _TryAgain(failure) from failure
            raise

    def _ready(self) -> tuple[PostgresConnection, SqlTransaction]:
        if self._connection is None or self._transaction is None:
            self._connection = self._connect()
            self._transaction = SqlTransaction(self._connection)
        return self._connection, self._transaction
