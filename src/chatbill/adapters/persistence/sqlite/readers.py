"""The threads that read, each from a snapshot of its own, beside the one that writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.threads.jobs import AnyJob, deliver, too_late
from chatbill.adapters.persistence.threads.queues import JobQueue


class Readers:
    """Runs queries on `threads` threads; each query sees the database as it is at its first statement."""

    def __init__(self, connect: Callable[[], Connection], *, threads: int, queue_size: int) -> None:
        self._connect = connect
        self.jobs = JobQueue("store-reader", self._serve, threads=threads, size=queue_size)

    def _serve(self, jobs: JobQueue) -> None:
        connection: Connection | None = None
        while taken := jobs.take():
            job = taken.pop()
            if job.claim():
                connection = self._run(job, connection)
                deliver((job,))
            del job  # not to be kept alive while waiting for the next
        _close(connection)

    def _run(self, job: AnyJob, connection: Connection | None) -> Connection | None:
        """Run the query; return the connection if it is still good."""
        if job.is_late:
            job.fail(too_late())
            return connection
        try:
            connection = connection or self._connect()
            connection.command("BEGIN")
            try:
                job.succeed(job.work(SqlTransaction(connection)))
            finally:
                connection.command("ROLLBACK")
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            job.fail(error)
        if connection and connection.failure:
            _close(connection)
            return None
        return connection


def _close(connection: Connection | None) -> None:
    if connection:
        with contextlib.suppress(Exception):
            connection.raw.close()
