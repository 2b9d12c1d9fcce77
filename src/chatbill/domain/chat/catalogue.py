"""The models on offer and the price of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chatbill.domain.billing.prices import Price
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import ModelId


class Tier(StrEnum):
    """The size class under which a model is offered."""

    MINI = "mini"
    PRO = "pro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model on offer.

    `context_tokens` bounds prompt and reply together; `max_reply_tokens` bounds the reply. Both in tokens.
    """

    id: ModelId
    name: str
    tier: Tier
    price: Price
    context_tokens: int
    max_reply_tokens: int


class Catalogue(Mapping[ModelId, Model]):
    """Models by id, in the order in which they are shown."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self._models = {model.id: model for model in models}
        if len(self._models) != len(models):
            raise InvalidRequest.of("models", "duplicate_model_ids")

    def __getitem__(self, key: ModelId) -> Model:
        return self._models[key]

    def __iter__(self) -> Iterator[ModelId]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def pick(self, model: str) -> Model:
        """Return the model with this id, or raise `InvalidRequest` with the ids that exist."""
        try:
            return self._models[ModelId(model)]
        except KeyError:
            raise InvalidRequest.of("model", "unknown_model", known=", ".join(self._models)) from None
