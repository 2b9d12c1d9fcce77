"""A check that the store keeps what is written, by a small write at most every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

from chatbill.application.ports.clock import NewId
from chatbill.application.ports.store import Store, StoreUnavailable
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import UserId

EVERY_S = 5.0
"""The time for which the result of one small write is used."""
TIMEOUT_S = 5.0
"""The time after which a read or a write counts as failed."""
PROBE_TIMEOUT_S = 0.9
"""The same where no other work uses the connections: the callers of a probe often wait a second."""

STORE_FAILING = Description("store_failing")

_log = logging.getLogger(__name__)


class WriteCheck:
    """Reads at each call, and writes at most once in `every_s` seconds. Calls in between use the last one.

    Both together take at most `timeout_s` seconds. The log tells when the store begins to fail and when it
    works again.
    """

    def __init__(self, store: Store, new_id: NewId, *, every_s: float = EVERY_S, timeout_s: float = TIMEOUT_S) -> None:
        self._store = store
        self._new_id = new_id
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._writing: asyncio.Task[Description | None] | None = None
        self._wrote_at = float("-inf")
        self._found: Description | None = None
        self._logged = False

    async def __call__(self) -> Description | None:
        """Return what is wrong with the store and what to do, None if it works."""
        until = time.monotonic() + self._timeout_s
        if problem := await self._problem_of(self._store.read(lambda snapshot: snapshot.users.get(UserId("nobody")))):
            return problem
        if self._writing is None:
            if time.monotonic() - self._wrote_at < self._every_s:
                return self._found
            self._writing = asyncio.create_task(self._write())
        # A caller that is cancelled, or waits no longer, must not cancel the write for the others.
        writing = self._writing
        done, _ = await asyncio.wait({writing}, timeout=max(0, until - time.monotonic()))
        return writing.result() if done else self._slow()

    async def _write(self) -> Description | None:
        check_id = self._new_id()
        try:
            self._found = await self._problem_of(self._store.write(lambda tx: tx.write_checks.write(check_id)))
            if self._found is None and self._logged:
                self._logged = False
                _log.info("database_usable_again")
            return self._found
        finally:
            self._wrote_at, self._writing = time.monotonic(), None

    async def _problem_of(self, asking: Awaitable[object]) -> Description | None:
        try:
            await asyncio.wait_for(asking, self._timeout_s)
        except TimeoutError:
            advice = self._slow()
            words = str(advice)
        except StoreUnavailable as error:
            words, advice = str(error), error.advice or STORE_FAILING
        else:
            return None
        if not self._logged:
            self._logged = True
            _log.error("database_unusable", extra={"cause": words})
        return advice

    def _slow(self) -> Description:
        return Description.of("store_slow", after_s=self._timeout_s)
