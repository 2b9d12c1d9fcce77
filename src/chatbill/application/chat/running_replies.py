"""All replies that are being written in this process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatbill.application.chat.replies import CLOSE_TIMEOUT_S, Reply, StopReason
from chatbill.application.ports.metrics import Metrics, NoMetrics
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, RateLimited
from chatbill.domain.shared.ids import InteractionId, ModelId, UserId

BEGIN_TIMEOUT_S = 15.0
"""How long a stopping service waits for messages that are just being accepted."""
RESTART_S = 5
"""The time after which a stopped service has usually started again."""


class Replies:
    """The replies that are being written in this process, at most `per_user` of one user at once (0: no limit).

    `metrics` count those that were settled. `will_close` is True once the service is about to stop; messages are
    accepted until `drain`.
    """

    def __init__(self, *, per_user: int = 0, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or NoMetrics()
        self._per_user = per_user
        self._of_user: Counter[UserId] = Counter()
        self._running: dict[InteractionId, Reply] = {}
        self._beginning: set[asyncio.Future[None]] = set()
        self._closed = False
        self.will_close = False
        self._watchers: list[Callable[[Reply], None]] = []

    def __len__(self) -> int:
        return len(self._running)

    @contextmanager
    def beginning(self, model: ModelId, user_id: UserId) -> Iterator[None]:
        """Count a message that is being accepted, so that `drain` waits for it.

        Raises `ModelUnavailable` when the service is stopping, and `RateLimited` when this user has as many replies as
        one user may have.
        """
        if self._closed:
            raise ModelUnavailable(model, Description("service_stopping"), retry_after_s=RESTART_S)
        if self._per_user and self._of_user[user_id] >= self._per_user:
            raise RateLimited("too_many_replies", retry_after_s=1, max=self._per_user)
        begun = asyncio.get_running_loop().create_future()
        self._beginning.add(begun)
        self._of_user[user_id] += 1
        try:
            yield
        finally:
            self._give_place_back(user_id)
            self._beginning.discard(begun)
            begun.set_result(None)

    def add(self, reply: Reply) -> None:
        """Keep the reply until it is settled."""
        interaction_id = reply.accepted.interaction_id
        self._running[interaction_id] = reply
        self._of_user[reply.user_id] += 1
        reply.when_finished(lambda: self._remove(interaction_id))
        for watcher in self._watchers:
            watcher(reply)

    def watch(self, watcher: Callable[[Reply], None]) -> None:
        """Call `watcher` with each reply that begins from now on. It must return at once and raise nothing."""
        self._watchers.append(watcher)

    def of_user(self, user_id: UserId) -> list[Reply]:
        """Return the replies of a user that are being written here."""
        return [reply for reply in self._running.values() if reply.user_id == user_id]

    def get(self, interaction_id: InteractionId) -> Reply | None:
        """Return a reply that is being written here; None for any other."""
        return self._running.get(interaction_id)

    def stop(self, interaction_id: InteractionId) -> bool:
        """Stop a reply for its user; return False when it is not being written here."""
        if reply := self._running.get(interaction_id):
            reply.stop(StopReason.PERSON)
        return reply is not None

    def running_ids(self) -> list[InteractionId]:
        """Return the replies that are being written here and were not stopped."""
        return [interaction_id for interaction_id, reply in self._running.items() if not reply.is_stopped]

    async def drain(self, *, grace_s: float) -> None:
        """Accept no more replies, let the running ones finish for `grace_s` seconds, then stop the rest unpaid.

        Temporary ones are stopped at once: nothing could show them later.
        """
        self._closed = self.will_close = True
        if self._beginning:
            await asyncio.wait(set(self._beginning), timeout=BEGIN_TIMEOUT_S)
        for reply in self._running.values():
            if reply.is_temporary:
                reply.stop(StopReason.SHUTDOWN)
        await self._wait(grace_s)
        for reply in self._running.values():
            reply.stop(StopReason.SHUTDOWN)
        await self._wait(2 * CLOSE_TIMEOUT_S)

    def _remove(self, interaction_id: InteractionId) -> None:
        if reply := self._running.pop(interaction_id, None):
            self._give_place_back(reply.user_id)
            if reply.settled:
                self._metrics.reply_ended(reply.settled)

    def _give_place_back(self, user_id: UserId) -> None:
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]  # or the dictionary would grow with every user

    async def _wait(self, timeout_s: float) -> None:
        waits = [asyncio.ensure_future(reply.finished()) for reply in self._running.values()]
        if waits:
            await asyncio.wait(waits, timeout=timeout_s)
        for wait in waits:
            wait.cancel()
