"""The availability of one model, here or on a server: the places in its queue, its health, and its status."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chatbill.adapters.inference.availability.health import Health
from chatbill.application.ports.engine import GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, Overloaded
from chatbill.domain.shared.ids import ModelId

STOPPING = Description("model_service_stopping")
UNKNOWN = Description("model_unknown")


def probe_request(model: ModelId) -> GenerationRequest:
    """Return the request of a probe: one token, which shows whether the model works."""
    return GenerationRequest(model=model, turns=(Turn(Role.USER, "Hi"),), max_tokens=1)


class ModelAvailability:
    """Up to `at_once` requests are written together and `max_queued` more wait; each has a place from `take` on.

    `health` is None while the model is not in memory. Calls of `take` and `give_back` must not overlap.
    """

    def __init__(self, model: ModelId, *, at_once: int, max_queued: int, health: Health | None = None) -> None:
        self.at_once = at_once
        self.health = health
        self.closed = False
        self._model = model
        self._max_queued = max_queued
        self._places: dict[object, None] = {}

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
    ) -> ModelStatus:
        """Return the model's status, from its state and its health.

        `lost` is True for a model that broke and has not been loaded again.
        """
        if self.closed:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=STOPPING)
        if self.health and (fault := self.health.fault):
            state, reason = ModelState.UNAVAILABLE, fault.reason
        known = self.health.is_known_to_write if self.health and state is ModelState.READY else not lost
        queued = max(0, len(self) - running)
        return ModelStatus(state=state, reason=reason, running=running, queued=queued, healthy=known)

    def take(self, place: object, *, mean_reply_s: float = 0.0) -> None:
        """Take a place. Raises `ModelUnavailable` if requests are refused, and `Overloaded` if no place is free."""
        if self.closed:
            raise ModelUnavailable(self._model, STOPPING)
        if self.health and (fault := self.health.fault):
            raise ModelUnavailable(self._model, fault.reason, retry_after_s=fault.retry_after_s)
        if len(self) >= self.at_once + self._max_queued:
            raise Overloaded(retry_after_s=math.ceil(mean_reply_s * len(self) / self.at_once / 2))
        self._places[place] = None

    def give_back(self, place: object) -> None:
        """Free the place; a second call changes nothing."""
        self._places.pop(place, None)
