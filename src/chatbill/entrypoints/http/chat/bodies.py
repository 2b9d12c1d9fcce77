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
        description="The text of the message.", examples=["What is the capital of France? Answer in one sentence."]
    )
    conversation_id: Id | None = Field(
        default=None, description="Continues this conversation; without it a new one begins."
    )
    parent_id: Id | None = Field(
        default=None,
        description="The interaction that the message follows; the newest one if left out. With the id of the "
        "conversation itself, the message begins the conversation anew.",
    )
    max_tokens: int | None = Field(
        default=None, description="Longest reply, in tokens, at least 1; the model has its own bound."
    )
    temperature: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="0 (always the likeliest word) to 2; the model's default if left out.",
    )

    def to_message(self, idempotency_key: str | None) -> Message:
        """Return the command of the use case."""
        return Message(
            model=self.model,
            text=self.message,
            conversation_id=ConversationId(self.conversation_id) if self.conversation_id is not None else None,
            parent_id=self.parent_id,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            idempotency_key=idempotency_key,
        )


class ConversationBody(Body):
    """What is changed of a conversation."""

    title: Line | None = Field(default=None, description="1 to 200 characters.", examples=["Capitals"])
    pinned: bool | None = Field(default=None, description="Whether it comes before all others in the list.")


class RegenerateBody(Body):
    """How a message is answered again."""

    model: Line = Field(default="", description="The id of a model; that of the earlier reply if left out.")

    def to_message(self, idempotency_key: str | None) -> Message:
        """Return the command of the use case, which knows the text."""
        return Message(model=self.model, text="", idempotency_key=idempotency_key)
