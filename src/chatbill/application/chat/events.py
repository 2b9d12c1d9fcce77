"""The stream of events that every message becomes: Accepted, then Deltas, then one end.

Every channel is a rendering of this stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.domain.chat.interactions import Interaction, Outcome
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
        """The first event of this interaction."""
        return cls(
            interaction_id=interaction.id,
            conversation_id=interaction.conversation_id,
            model=interaction.model,
            held=interaction.held,
        )


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the reply, and the tokens that made it."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The reply is whole, charged and stored. `cut_off` is what the engine said of its end, where it was heard."""

    interaction: Interaction
    cut_off: bool | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The reply was stopped; it is charged for what was delivered, and stored."""

    interaction: Interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """There is no whole reply and nothing was charged. `code` is an error's stable word, `detail` describes it.

    `retry_after_s` is what the error said of it, where it was heard.
    """

    interaction: Interaction
    code: str
    detail: Description
    retry_after_s: int | None = None


End = Completed | Stopped | Failed
Event = Accepted | Delta | End


_LOST = Description.of("text", text="The reply was lost; nothing was charged.")


def end_of(interaction: Interaction) -> End:
    """The last event of an interaction that has ended."""
    match interaction.outcome:
        case Outcome.COMPLETED:
            return Completed(interaction)
        case Outcome.STOPPED:
            return Stopped(interaction)
        case _:
            return Failed(
                interaction=interaction,
                code=interaction.error_code or "internal_error",
                detail=interaction.error_detail or _LOST,
            )
