"""Check readiness: that the store keeps what is written, and that every offered model answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.chat.list_models import ListModels
from chatbill.application.chat.running_replies import Replies
from chatbill.application.shared.write_check import WriteCheck
from chatbill.domain.shared.descriptions import Description

SILENT = Description("model_silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The state of the store and the models. Ready means that a message would be accepted now and in a moment.

    `problem` describes what is wrong with the store and what to do; None if it works. `models` has True for each model
    that can be asked now. `unhealthy` gives the reason of each model that fails, `unavailable` that of
    each model that cannot be asked. A service that is `stopping` accepts messages for some seconds more.
    """

    problem: Description | None
    models: dict[str, bool]
    unhealthy: dict[str, Description] = field(default_factory=dict)
    unavailable: dict[str, Description] = field(default_factory=dict)
    stopping: bool = False

    @property
    def store(self) -> bool:
        """True when the store works."""
        return self.problem is None

    @property
    def ready(self) -> bool:
        """True when the store works and at least one model answers, unless the service is stopping."""
        works = any(available and model not in self.unhealthy for model, available in self.models.items())
        return self.store and works and not self.stopping

    @property
    def degraded(self) -> bool:
        """True when the service is ready and a model that should work does not."""
        return self.ready and bool(self.unhealthy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReadiness:
    """Checks the store by a small write, and the state of every model."""

    write_check: WriteCheck
    list_models: ListModels
    replies: Replies

    async def __call__(self) -> Readiness:
        """Return which parts work now."""
        problem = await self.write_check()
        offers = [(str(offer.model.id), offer) for offer in self.list_models()]
        return Readiness(
            problem=problem,
            models={model: offer.available for model, offer in offers},
            unhealthy={model: offer.status.reason or SILENT for model, offer in offers if not offer.status.healthy},
            unavailable={model: offer.status.reason or SILENT for model, offer in offers if not offer.available},
            stopping=self.replies.will_close,
        )
