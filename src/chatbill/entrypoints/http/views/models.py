"""What clients see of models and of how the engine stands."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.list_models import ModelOffer
from chatbill.entrypoints.web.texts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceView:
    """Credits a reply costs: a fixed part, and parts for each 1,000 tokens."""

    per_reply: int
    per_1k_prompt_tokens: int
    per_1k_completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model on offer. `reason` says why it is not available."""

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
        """As clients see it."""
        model, price = offer.model, offer.model.price
        return cls(
            id=model.id,
            name=model.name,
            tier=model.tier.value,
            price=PriceView(
                per_reply=price.per_reply,
                per_1k_prompt_tokens=price.per_1k_prompt_tokens,
                per_1k_completion_tokens=price.per_1k_completion_tokens,
            ),
            available=offer.available,
            reason=render(offer.status.reason) if offer.status.reason else None,
            context_tokens=model.context_tokens,
            max_reply_tokens=model.max_reply_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Requests that are being answered, and those that wait."""

    running: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatusView:
    """How a model stands: `loading`, `ready`, `resting` (a message loads it) or `unavailable`, and why."""

    id: str
    state: str
    available: bool
    reason: str | None = None
    running: int
    queued: int

    @classmethod
    def of(cls, offer: ModelOffer) -> ModelStatusView:
        """As clients see it."""
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
    """How the chat stands as a whole."""

    engine: str
    queue: QueueView
    models: list[ModelStatusView]

    @classmethod
    def of(cls, engine: str, offers: list[ModelOffer]) -> ChatStatusView:
        """As clients see it."""
        queue = QueueView(
            running=sum(offer.status.running for offer in offers), queued=sum(offer.status.queued for offer in offers)
        )
        return cls(engine=engine, queue=queue, models=[ModelStatusView.of(offer) for offer in offers])
