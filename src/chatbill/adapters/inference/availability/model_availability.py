"""The availability of one model, here or on a server: the places in its queue, its health, and its status."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from chatbill.adapters.inference.availability.health import Health
from chatbill.application.ports.engine import GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, Overloaded, RateLimited
from chatbill.domain.shared.ids import ModelId, UserId

STOPPING = Description("model_service_stopping")
UNKNOWN = Description("model_unknown")


def probe_request(model: ModelId) -> GenerationRequest:
    """Return the request of a probe: one token, which shows whether the model works."""
    return GenerationRequest(model=model, turns=(Turn(Role.USER, "Hi"),), max_tokens=1)


class ModelAvailability:
    """Up to `at_once` requests are written together and `max_queued` more wait; each has a place from `take` on.

    One owner may have `at_once` places and, of the queue, about `share_percent` of what the others leave free
    (100: no limit). So each further owner that fills its share takes less, and places stay free for others. A queue
    that is shorter than `at_once` counts instead of it.

    `health` is None while the model is not in memory. Calls of `take` and `give_back` must not overlap.
    """

    def __init__(
        self, model: ModelId, *, at_once: int, max_queued: int, health: Health | None = None, share_percent: int = 100
    ) -> None:
        self.at_once = at_once
        self.health = health
        self.closed = False
        self._model = model
        self._max_queued = max_queued
        self._share_percent = share_percent
        self._places: dict[object, UserId | None] = {}
        self._of_owner: Counter[UserId] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[object]:
        return iter(tuple(self._places))

    def status(
        self,
        state: ModelState = ModelState.READY,
        reason: Description | None = None,
        *,
        running: int = 0,
        lost: bool = False,
        memory_bytes: int = 0,
    ) -> ModelStatus:
        """Return the model's status, from its state and its health.

        `lost` is True for a model that broke and has not been loaded again.
        """
        if self.closed:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=STOPPING)
        if self.health and (fault := self.health.fault):
            state, reason, lost = ModelState.UNAVAILABLE, fault.reason, True
        known = self.health.is_known_to_write if self.health and state is ModelState.READY else not lost
        queued = max(0, len(self) - running)
        return ModelStatus(
            state=state,
            reason=reason,
            running=running,
            queued=queued,
            healthy=known,
            at_once=self.at_once,
            memory_bytes=memory_bytes,
        )

    def take(self, place: object, owner: UserId | None = None, *, mean_reply_s: float = 0.0) -> None:
        """Take a place for this owner; without an owner, no share is counted.

        Raises `ModelUnavailable` if requests are refused, `Overloaded` if no place is free, and `RateLimited` if the
        owner has its share of them.
        """
        if self.closed:
            raise ModelUnavailable(self._model, STOPPING)
        if self.health and (fault := self.health.fault):
            raise ModelUnavailable(self._model, fault.reason, retry_after_s=fault.retry_after_s)
        free = self.at_once + self._max_queued - len(self)
        if free < 1:
            raise Overloaded(retry_after_s=math.ceil(mean_reply_s * len(self) / self.at_once / 2))
        if owner is not None:
            if self._has_its_share(self._of_owner[owner], free):
                raise RateLimited(
                    "share_of_queue_taken", retry_after_s=math.ceil(mean_reply_s), count=self._of_owner[owner]
                )
            self._of_owner[owner] += 1
        self._places[place] = owner

    def give_back(self, place: object) -> None:
        """Free the place; a second call changes nothing."""
        owner = self._places.pop(place, None)
        if owner is not None:
            self._of_owner[owner] -= 1
            if not self._of_owner[owner]:
                del self._of_owner[owner]  # or the counter would grow with every owner

    def _has_its_share(self, taken: int, free: int) -> bool:
        kept_percent = 100 - self._share_percent
        if not (taken and kept_percent):
            return False
        # The last free place is for an owner that has none.
        queued = taken - min(self.at_once, self._max_queued)
        return queued * kept_percent >= (free - 1) * self._share_percent
