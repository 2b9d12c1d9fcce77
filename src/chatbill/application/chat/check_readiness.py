"""Check readiness: that the store keeps what is written, and that every offered model answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.chat.list_models import ListModels
from chatbill.application.shared.write_check import WriteCheck
from chatbill.domain.shared.descriptions import Description

SILENT = Description("model_silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What works. Ready means that a message sent now would be taken.

    `trouble` says what is wrong with the store and what to do, None if it works; `models` which can be asked now, and
    `unhealthy` why those do not work that should. `unavailable` says why those cannot be asked that cannot.
    """

    trouble: Description | None
    models: dict[str, bool]
    unhealthy: dict[str, Description] = field(default_factory=dict)
    unavailable: dict[str, Description] = field(default_factory=dict)

    @property
    def store(self) -> bool:
        """True when the store works."""
        return self.trouble is None

    @property
    def ready(self) -> bool:
        """True when the store works, at least one model can be asked, and each that should work does."""
        return self.store and any(self.models.values()) and not self.unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReadiness:
    """Ask the store to keep something, and every model how it stands."""

    write_check: WriteCheck
    list_models: ListModels

    async def __call__(self) -> Readiness:
        """What works now."""
        trouble = await self.write_check()
        offers = [(str(offer.model.id), offer) for offer in self.list_models()]
        return Readiness(
            trouble=trouble,
            models={model: offer.available for model, offer in offers},
            unhealthy={model: offer.status.reason or SILENT for model, offer in offers if not offer.status.healthy},
            unavailable={model: offer.status.reason or SILENT for model, offer in offers if not offer.available},
        )
