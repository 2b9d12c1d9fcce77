"""The workers of a PostgreSQL store: each runs one transaction at a time on a connection of its own."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from chatbill.adapters.persistence.postgres.connection import PostgresConnection
from chatbill.adapters.persistence.postgres.errors import asks_for_another_try, is_passing
from chatbill.adapters.persistence.threads.jobs import AnyJob
from chatbill.adapters.persistence.threads.store_threads import Worker
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError

READ_WRITE = "ISOLATION LEVEL READ COMMITTED READ WRITE"
READ_ONLY = "ISOLATION LEVEL REPEATABLE READ READ ONLY"

MAX_ATTEMPTS = 6
FIRST_PAUSE_S = 0.01

_log = logging.getLogger(__name__)


class _Retry(Exception):
    """Nothing was kept of an attempt, and another may succeed. `error` is for the caller if there is no other."""

    def __init__(self, error: Exception, *, savepoints: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.savepoints = savepoints


class PostgresWorker(Worker[PostgresConnection]):
    """Runs each job in a transaction that begins with `mode`."""

    def __init__(self, connect: Callable[[], PostgresConnection], mode: str) -> None:
        super().__init__(connect)
        self._mode = mode

    def run(self, jobs: Sequence[AnyJob]) -> None:
        """Run the jobs, each again after an attempt that kept nothing, until it has waited too long."""
        for job in jobs:
            try:
                self._run(job)
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                job.fail(error)

    def _run(self, job: AnyJob) -> None:
        savepoints = False
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                job.succeed(self._attempt(job.work, savepoints=savepoints))
            except _Retry as retry:
                savepoints = savepoints or retry.savepoints
                # The attempt with savepoints is made however late the job is: it finds the error for the caller.
                if attempt == MAX_ATTEMPTS or (job.is_late and not retry.savepoints):
                    job.fail(retry.error)
                    return
                if not retry.savepoints:
                    _log.info("transaction_tried_again", extra={"cause": str(retry)})
                    # Random, so that two transactions that met do not meet again.
                    time.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311
            else:
                return

    def _attempt(self, work: Callable[[Any], Any], *, savepoints: bool) -> Any:
        connection, transaction = self.session()
        value: Any = None
        raised: BaseException | None = None
        try:
            connection.begin(self._mode, savepoints=savepoints)
            value = work(transaction)
            connection.check_open()
        except BaseException as error:  # noqa: BLE001 - what it means depends on the transaction
            raised = error
            # It may come from a queued statement that would have failed.
            with contextlib.suppress(ChatbillError):
                connection.flush()
        if connection.failure:
            self._give_up(connection, connection.failure)
        if raised is not None or connection.aborted_by:
            connection.rollback()
            if connection.aborted_by and raised is not connection.aborted_by:
                # The error came too late for the work to handle it.
                raise _Retry(connection.aborted_by, savepoints=True)
            assert raised is not None  # noqa: S101 - for the type checker: otherwise the line above has raised
            raise raised
        self._commit(connection)
        return value

    def _give_up(self, connection: PostgresConnection, failure: StoreUnavailable) -> None:
        """Roll back and raise. Nothing was committed, so the work may run again where that can help."""
        connection.rollback()
        retry = connection.is_lost or asks_for_another_try(failure.__cause__)
        if connection.is_lost or not is_passing(failure.__cause__):
            # For example, the server has become a standby: the next connection may find the new primary.
            self.disconnect()
        if retry:
            raise _Retry(failure)
        raise failure

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            connection.commit()
        except StoreUnavailable as failure:
            if connection.is_lost:
                # The outcome is unknown, so the work must not run again here.
                connection.rollback()
                self.disconnect()
                raise
            if connection.failure:
                # After a queued statement that failed, the server has skipped COMMIT.
                self._give_up(connection, connection.failure)
            connection.rollback()
            assert connection.aborted_by  # noqa: S101 - a failure is one or the other
            raise _Retry(connection.aborted_by, savepoints=True) from failure
