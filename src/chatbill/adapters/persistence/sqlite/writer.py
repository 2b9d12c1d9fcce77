"""The one thread that writes: many transactions, one durable commit."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.threads.jobs import AnyJob, deliver, too_late
from chatbill.adapters.persistence.threads.queues import JobQueue
from chatbill.application.ports.store import StoreUnavailable

_log = logging.getLogger(__name__)


class Writer:
    """Runs jobs one after the other, up to `batch_size` of them in one transaction of the database.

    One that raises takes nothing from the others: the batch then begins again, with a savepoint for each job. Nobody
    is told of an outcome, be it an error, before the commit: a refusal may rest on what an earlier job has changed.
    """

    def __init__(self, connect: Callable[[], Connection], *, queue_size: int, batch_size: int) -> None:
        self._connect = connect
        self._batch_size = batch_size
        self._connection: Connection | None = None
        self._transaction: SqlTransaction | None = None
        self.jobs = JobQueue("store-writer", self._serve, threads=1, size=queue_size)

    def _serve(self, jobs: JobQueue) -> None:
        while batch := jobs.take(self._batch_size):
            self._run(batch)
            del batch  # not to be kept alive while waiting for the next
        self._let_go()

    def _run(self, batch: list[AnyJob]) -> None:
        wanted = [job for job in batch if job.claim()]
        timely = []
        for job in wanted:
            if job.is_late:
                job.fail(too_late())
            else:
                timely.append(job)
        if timely:
            try:
                self._commit(timely)
            except Exception as error:  # noqa: BLE001 - whatever it is, everybody who waits must hear of it
                self._give_up(timely, error)
        deliver(wanted)

    def _commit(self, jobs: list[AnyJob]) -> None:
        connection, transaction = self._ready()
        connection.command("BEGIN IMMEDIATE")
        for job in jobs:
            self._attempt(job, connection, transaction)
            if job.has_failed:
                connection.command("ROLLBACK")
                break
        else:
            connection.command("COMMIT")
            return
        if len(jobs) > 1:
            self._commit_one_by_one(jobs, connection, transaction)

    def _commit_one_by_one(self, jobs: list[AnyJob], connection: Connection, transaction: SqlTransaction) -> None:
        """Slower, and seldom needed: savepoints are a tenth of the work of a charge."""
        connection.command("BEGIN IMMEDIATE")
        for job in jobs:
            connection.command("SAVEPOINT work")
            self._attempt(job, connection, transaction)
            if job.has_failed:
                connection.command("ROLLBACK TO work")
            connection.command("RELEASE work")
        connection.command("COMMIT")

    @staticmethod
    def _attempt(job: AnyJob, connection: Connection, transaction: SqlTransaction) -> None:
        try:
            job.succeed(job.work(transaction))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            job.fail(error)
        # On a full disk, for one, SQLite rolls back everything by itself; what follows would be a new transaction.
        if connection.failure or not connection.raw.in_transaction:
            raise StoreUnavailable("The database gave up a transaction.") from connection.failure

    def _give_up(self, jobs: list[AnyJob], error: Exception) -> None:
        """Nothing of the batch was kept, and what state the connection is in nobody knows."""
        cause = error.__cause__ if isinstance(error.__cause__, StoreUnavailable) else error
        _log.error("%d transactions were not kept: %s", len(jobs), cause)
        for job in jobs:
            trouble = StoreUnavailable(getattr(cause, "cause", str(cause)), advice=getattr(cause, "advice", None))
            trouble.__cause__ = cause
            job.fail(trouble)
        self._let_go()

    def _ready(self) -> tuple[Connection, SqlTransaction]:
        if self._connection is None or self._transaction is None:
            self._connection = self._connect()
            self._transaction = SqlTransaction(self._connection)
        return self._connection, self._transaction

    def _let_go(self) -> None:
        connection, self._connection, self._transaction = self._connection, None, None
        if connection:
            with contextlib.suppress(Exception):
                connection.raw.close()
