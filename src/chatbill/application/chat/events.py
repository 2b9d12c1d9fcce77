"""The stream of events that every message becomes: Accepted, then Deltas, then one end.

Every channel is a rendering of this stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.domain.chat.interactions import REPLY_LOST, Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ConversationId, InteractionId, ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The message is recorded and `held` credits are promised to it."""

    interaction_id: InteractionId
    conversation_id: ConversationId
    model: ModelId
    held: int

    @classmethod
    def of(cls, interaction: Interaction) -> Accepted:
        """Return the first event of this interaction."""
        return cls(
            interaction_id=interaction.id,
            conversation_id=interaction.conversation_id,
            model=interaction.model,
            held=interaction.held,
        )


@dataclass(frozen=True, slots=True)
class Delta:
    """The next chunk of the reply, and the tokens that it took."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How much of a conversation the model read.

    `tokens` of it were read, of a window of `limit` tokens that the reply shares (None for a model that is not offered
    any more), without the `dropped_turns` oldest turns.
    """

    tokens: int
    limit: int | None
    dropped_turns: int


@dataclass(frozen=True, slots=True)
class _Charged:
    """The end of a reply that was charged and stored. `window` is the model's, in tokens.

    `parent_id` is the interaction that it follows; None for one that begins a conversation.
    """

    interaction: Interaction
    window: int | None = None
    parent_id: InteractionId | None = None

    @property
    def context(self) -> Context:
        """Return how much of the conversation the model read."""
        read = self.interaction
        return Context(tokens=read.usage.prompt_tokens, limit=self.window, dropped_turns=read.dropped_turns)


@dataclass(frozen=True, slots=True)
class Completed(_Charged):
    """The reply is complete. `cut_off` tells whether it met its token limit; None if unknown."""

    cut_off: bool | None = None


@dataclass(frozen=True, slots=True)
class Stopped(_Charged):
    """The reply was stopped; the delivered part is charged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """There is no complete reply and nothing was charged.

    `code` is the stable code of the error that ended it, `description` is what a person is told. `retry_after_s` is
    the error's, where this process saw the error.
    """

    interaction: Interaction
    code: str
    description: Description
    retry_after_s: int | None = None


End = Completed | Stopped | Failed
Event = Accepted | Delta | End


def end_of(interaction: Interaction, window: int | None = None, parent_id: InteractionId | None = None) -> End:
    """Return the last event of an interaction that has ended, with a model of this window, and that follows another."""
    match interaction.outcome:
        case Outcome.COMPLETED:
            return Completed(interaction, window, parent_id)
        case Outcome.STOPPED:
            return Stopped(interaction, window, parent_id)
        case _:
            return Failed(
                interaction=interaction,
                code=interaction.error_code or "internal_error",
                description=interaction.error_detail or REPLY_LOST,
            )
