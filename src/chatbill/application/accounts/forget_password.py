"""Ask for a link for a new password, without being signed in."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final

from chatbill.application.accounts.find_user import find_user
from chatbill.application.accounts.letters import QueueLetter, queue
from chatbill.application.ports.mail import LetterKind
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store
from chatbill.domain.shared.errors import ChatbillError, RateLimited

MAX_RUNNING: Final = 64
"""Requests that are being looked up. More than that are dropped: the person asks again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetPassword:
    """Send a link to the e-mail address, if it is that of an account and there is a mail server.

    The answer is the same, and takes the same time, for every address: it is looked up afterwards. Raises `RateLimited`
    after too many requests from one network address or of all.
    """

    store: Store
    queue_letter: QueueLetter
    rate_limits: RateLimits
    per_address: Limit
    per_person: Limit
    in_all: Limit
    _running: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __call__(self, email: str, address: str) -> None:
        """Begin, and return at once."""
        await self.rate_limits.hit(self.per_address, address)
        await self.rate_limits.hit(self.in_all, "")
        if self.queue_letter.sends and len(self._running) < MAX_RUNNING:
            task = asyncio.create_task(self._queue(email))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _queue(self, email: str) -> None:
        try:
            user = await self.store.read(lambda snapshot: find_user(snapshot.users, email)) if "@" in email else None
            if user is None or not user.is_enabled:
                return
            await self.rate_limits.hit(self.per_person, user.id)
            job = self.queue_letter.job(LetterKind.PASSWORD_LINK, user.id)
            await self.store.write(lambda tx: queue(tx, job))
        except RateLimited:
            pass  # the letter before is enough
        except ChatbillError as error:
            _log.warning("letter_not_queued", extra={"code": error.code})
