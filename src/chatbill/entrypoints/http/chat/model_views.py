"""Response bodies of models and of the state of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.list_models import ModelOffer
from chatbill.domain.billing.prices import Price
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceView:
    """The price of a reply in credits: a fixed part, and parts for each 1,000 tokens."""

    per_reply: int
    per_1k_prompt_tokens: int
    per_1k_completion_tokens: int

    @classmethod
    def of(cls, price: Price) -> PriceView:
        """Return the view of a price."""
        return cls(
            per_reply=price.per_reply,
            per_1k_prompt_tokens=price.per_1k_prompt_tokens,
            per_1k_completion_tokens=price.per_1k_completion_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model. `reason` says why it is not available."""

    id: str
    name: str
    tier: str
    price: PriceView
    available: bool
    reason: str | None = None
    context_tokens: int
    max_reply_tokens: int

    @classmethod
    def of(cls, offer: ModelOffer) -> ModelView:
        """Return the view of a model."""
        model = offer.model
        return cls(
            id=model.id,
            name=model.name,
            tier=model.tier.value,
            price=PriceView.of(model.price),
            available=offer.available,
            reason=render(offer.status.reason) if offer.status.reason else None,
            context_tokens=model.context_tokens,
            max_reply_tokens=model.max_reply_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The numbers of requests that run and that wait."""

    running: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatusView:
    """The state of a model: `loading`, `ready`, `resting` (a message loads it) or `unavailable`, and why."""

    id: str
    state: str
    available: bool
    reason: str | None = None
    running: int
    queued: int

    @classmethod
    def of(cls, offer: ModelOffer) -> ModelStatusView:
        """Return the view of the state of a model."""
        status = offer.status
        return cls(
            id=offer.model.id,
            state=status.state.value,
            available=offer.available,
            reason=render(status.reason) if status.reason else None,
            running=status.running,
            queued=status.queued,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStatusView:
    """The state of the engine and of all models."""

    engine: str
    queue: QueueView
    models: list[ModelStatusView]

    @classmethod
    def of(cls, engine: str, offers: list[ModelOffer]) -> ChatStatusView:
        """Return the view of the state of the chat."""
        queue = QueueView(
            running=sum(offer.status.running for offer in offers), queued=sum(offer.status.queued for offer in offers)
        )
        return cls(engine=engine, queue=queue, models=[ModelStatusView.of(offer) for offer in offers])
