"""Messages: what a person asks of a model, and the rules it must obey before any work is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.chat import checked_message
from chatbill.domain.errors import FieldError, InvalidRequest
from chatbill.domain.idempotency import checked_key, fingerprint_of
from chatbill.domain.ids import ConversationId

MAX_TEMPERATURE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person asks of a model.

    `max_tokens` bounds the reply and is itself bounded by the model's. `temperature` is 0 to 2, None for the model's
    own. With an `idempotency_key`, sending the same message again gives the first answer and costs nothing more.
    """

    model: str
    text: str
    conversation_id: ConversationId | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes two messages the same request."""
        return fingerprint_of(
            "send_message",
            model=self.model,
            text=self.text,
            conversation_id=self.conversation_id,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
        )

    def check(self, *, max_chars: int) -> None:
        """Raise `InvalidRequest`, or `TooLarge`, for what breaks a rule."""
        checked_message(self.text, max_chars=max_chars)
        checked_key(self.idempotency_key)
        errors = []
        if self.max_tokens is not None and self.max_tokens < 1:
            errors.append(FieldError("max_tokens", "must be at least 1"))
        if self.temperature is not None and not 0 <= self.temperature <= MAX_TEMPERATURE:
            errors.append(FieldError("temperature", f"must be 0 to {MAX_TEMPERATURE:g}"))
        if errors:
            raise InvalidRequest(*errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBounds:
    """Limits on every reply.

    A reply may take `deadline_s` seconds, waiting included, and `first_token_s` of them until its first token; its hold
    lives `grace_s` longer. `max_message_chars` and `max_reply_tokens` bound what goes in and what comes out. `rate`
    bounds how often one person may ask.
    """

    deadline_s: float
    grace_s: float
    max_message_chars: int
    max_reply_tokens: int
    rate: Limit
    first_token_s: float = math.inf
