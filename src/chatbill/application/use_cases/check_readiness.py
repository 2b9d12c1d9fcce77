"""Check readiness: does the store answer, and does every model that is offered?"""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store, StoreUnavailable
from chatbill.application.use_cases.list_models import ListModels
from chatbill.domain.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What works. Ready means that a message sent now would be taken."""

    store: bool
    models: dict[str, bool]
    unhealthy: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True when the store works, at least one model can be asked, and each that should work does."""
        return self.store and any(self.models.values()) and not self.unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReadiness:
    """Ask the store for a row, and every model how it stands."""

    store: Store
    list_models: ListModels

    async def __call__(self) -> Readiness:
        """What works now."""
        offers = self.list_models()
        models = {str(offer.model.id): offer.available for offer in offers}
        unhealthy = tuple(str(offer.model.id) for offer in offers if not offer.status.healthy)
        try:
            await self.store.read(lambda snapshot: snapshot.users.get(UserId("nobody")))
        except StoreUnavailable:
            return Readiness(store=False, models=models, unhealthy=unhealthy)
        return Readiness(store=True, models=models, unhealthy=unhealthy)
