"""Request bodies for messages and conversations."""

from __future__ import annotations

from pydantic import Field

from chatbill.application.chat.messages import Message
from chatbill.domain.shared.ids import ConversationId
from chatbill.entrypoints.http.shared.bodies import Body, Id, Line


class MessageBody(Body):
    """A message to a model."""

    model: Line = Field(description="The id of a model, from `GET /chat/models`.", examples=["demo-mini"])
    message: str = Field(
        description="What you say.", examples=["What is the capital of France? Answer in one sentence."]
    )
    conversation_id: Id | None = Field(
        default=None, description="Goes on with this conversation; else a new one begins."
    )
    max_tokens: int | None = Field(
        default=None, description="Longest reply, in tokens, at least 1; the model has its own bound."
    )
    temperature: float | None = Field(
        default=None, allow_inf_nan=False, description="0 (always the likeliest word) to 2; left out: the model's own."
    )

    def to_message(self, idempotency_key: str | None) -> Message:
        """As the use case takes it."""
        return Message(
            model=self.model,
            text=self.message,
            conversation_id=ConversationId(self.conversation_id) if self.conversation_id is not None else None,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            idempotency_key=idempotency_key,
        )


class TitleBody(Body):
    """Another title."""

    title: Line = Field(description="1 to 200 characters.", examples=["Capitals"])
