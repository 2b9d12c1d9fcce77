"""The workers of an SQLite store: one writes, many transactions in one durable commit; the others read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.threads.jobs import AnyJob, fail_all
from chatbill.adapters.persistence.threads.store_threads import Worker
from chatbill.application.ports.store import StoreUnavailable

_log = logging.getLogger(__name__)


class SqliteWriter(Worker[Connection]):
    """Runs a batch of jobs one after the other in one transaction of the database.

    A job that raises does not undo the others: the batch then runs again, with a savepoint for each job. No outcome,
    not even an error, is delivered before the commit: a refusal may depend on what an earlier job has changed.
    """

    def run(self, jobs: Sequence[AnyJob]) -> None:
        """Run the jobs and commit. All fail with `StoreUnavailable` when the commit does."""
        try:
            self._commit(jobs)
        except Exception as error:  # noqa: BLE001 - every caller gets it
            cause = error.__cause__ if isinstance(error.__cause__, StoreUnavailable) else error
            _log.error("transactions_not_kept", extra={"count": len(jobs), "cause": str(cause)})
            fail_all(jobs, cause)
            self.disconnect()

    def _commit(self, jobs: Sequence[AnyJob]) -> None:
        connection, transaction = self.session()
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
            self._commit_with_savepoints(jobs, connection, transaction)

    def _commit_with_savepoints(
        self, jobs: Sequence[AnyJob], connection: Connection, transaction: SqlTransaction
    ) -> None:
        """Run the batch again. It is slower, because savepoints cost a tenth of a charge."""
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
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            job.fail(error)
        # SQLite itself rolls back everything on some errors, such as a full disk. More work would then run outside.
        if connection.failure or not connection.raw.in_transaction:
            raise StoreUnavailable("The database gave up a transaction.") from connection.failure


class SqliteReader(Worker[Connection]):
    """Runs each job in a snapshot: it sees the database as it is at the job's first statement."""

    def run(self, jobs: Sequence[AnyJob]) -> None:
        """Run the jobs. A connection that failed is closed."""
        connection, transaction = self.session()
        for job in jobs:
            try:
                connection.command("BEGIN")
                try:
                    job.succeed(job.work(transaction))
                finally:
                    connection.command("ROLLBACK")
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                job.fail(error)
        if connection.failure:
            self.disconnect()
