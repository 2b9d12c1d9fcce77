"""Response bodies in the format of OpenAI."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from chatbill.application.chat.events import Completed, Stopped
from chatbill.application.chat.list_models import ModelOffer
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import ContentFiltered
from chatbill.entrypoints.http.chat.model_views import PriceView
from chatbill.entrypoints.http.shared.parameters import COMPLETION_ID_PREFIX

FinishReason = Literal["stop", "length", "content_filter"]

CHARGED_HEADER: Final = "X-Chatbill-Credits-Charged"
BALANCE_HEADER: Final = "X-Chatbill-Balance"
CACHED_HEADER: Final = "X-Chatbill-Cached"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionUsage:
    """Tokens as the model counts them, their cost and the balance after it, in credits.

    `cached` is true if the reply was written before and sent again.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    credits_charged: int
    balance: int | None
    cached: bool

    @classmethod
    def of(cls, interaction: Interaction) -> CompletionUsage:
        """Return the usage of a settled reply."""
        usage = interaction.usage
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
            credits_charged=interaction.credits_charged,
            balance=interaction.balance_after,
            cached=interaction.cached,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionMessage:
    """The text of the reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionChoice:
    """The only choice.

    `finish_reason` is `length` if the reply ended at its longest length, and `content_filter` if a filter of the
    model's server ended it.
    """

    index: Literal[0] = 0
    message: CompletionMessage
    logprobs: None = None
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionView:
    """A whole reply. `id` is `chatcmpl-` and the id in the history. `created` is in seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage

    @classmethod
    def of(cls, end: Completed | Stopped, *, longest: int) -> CompletionView:
        """Return the view of a settled reply of at most `longest` tokens."""
        interaction = end.interaction
        message = CompletionMessage(content=interaction.reply)
        reason = finish_reason(end, longest=longest)
        return cls(
            id=COMPLETION_ID_PREFIX + interaction.id,
            created=seconds(interaction.created_at),
            model=interaction.model,
            choices=[CompletionChoice(message=message, finish_reason=reason)],
            usage=CompletionUsage.of(interaction),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIModelView:
    """A model. The fields after `owned_by` are chatbill's own; prices are in credits."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "chatbill"
    name: str
    available: bool
    price: PriceView
    context_tokens: int
    max_reply_tokens: int

    @classmethod
    def of(cls, offer: ModelOffer) -> OpenAIModelView:
        """Return the view of a model."""
        model = offer.model
        return cls(
            id=model.id,
            name=model.name,
            available=offer.available,
            price=PriceView.of(model.price),
            context_tokens=model.context_tokens,
            max_reply_tokens=model.max_reply_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIModelsView:
    """Every model on offer."""

    object: Literal["list"] = "list"
    data: list[OpenAIModelView]


def headers_of(interaction: Interaction) -> dict[str, str]:
    """Return the headers that chatbill adds to a whole reply."""
    return {
        CHARGED_HEADER: str(interaction.credits_charged),
        BALANCE_HEADER: str(interaction.balance_after),
        CACHED_HEADER: _boolean(interaction.cached),
    }


def comment_of(interaction: Interaction) -> str:
    """Return the same facts as a comment of a stream."""
    cached = _boolean(interaction.cached)
    return f"chatbill credits_charged={interaction.credits_charged} balance={interaction.balance_after} cached={cached}"


def _boolean(value: bool) -> str:  # noqa: FBT001 - the value to write
    return "true" if value else "false"


def finish_reason(end: Completed | Stopped, *, longest: int) -> FinishReason:
    """Return why a reply ended. If the engine did not say, a reply of `longest` tokens was cut off."""
    if end.interaction.error_code == ContentFiltered.code:
        return "content_filter"
    if isinstance(end, Completed) and end.cut_off is not None:
        return "length" if end.cut_off else "stop"
    return "length" if end.interaction.usage.completion_tokens >= longest else "stop"


def chunk(
    interaction_id: str, model: str, created: int, *, delta: dict[str, Any], reason: FinishReason | None = None
) -> dict[str, Any]:
    """Return a chunk of a streamed reply."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {
        "id": COMPLETION_ID_PREFIX + interaction_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [choice],
    }


def seconds(moment: datetime) -> int:
    """Return the seconds since 1970."""
    return int(moment.timestamp())
