"""List the models on offer with their prices, and whether each can answer now."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.engine import Engine, ModelState, ModelStatus
from chatbill.domain.chat.catalogue import Catalogue, Model
from chatbill.domain.shared.descriptions import Description

UNKNOWN = ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_unknown"))


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model and its status."""

    model: Model
    status: ModelStatus

    @property
    def available(self) -> bool:
        """Return True where a message to it would be accepted now."""
        return self.status.available


@dataclass(frozen=True, slots=True, kw_only=True)
class ListModels:
    """List every model of the catalogue, in its order."""

    engine: Engine
    catalogue: Catalogue

    def __call__(self) -> list[ModelOffer]:
        """Return the models with their present status; does not wait."""
        status = self.engine.status()
        return [ModelOffer(model, status.get(model.id, UNKNOWN)) for model in self.catalogue.values()]
