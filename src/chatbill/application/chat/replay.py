"""Replays: the stream of events of an earlier reply, made from its record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from chatbill.application.chat.events import Accepted, Delta, End, Event, Failed, end_of
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import RequestInterrupted
from chatbill.domain.shared.ids import InteractionId


class Replay:
    """The answer to a repeated request. It is used as a `Reply` is, and costs nothing.

    The end of a reply that was interrupted has a code of its own, because to repeat that request is of no use.
    """

    def __init__(
        self, interaction: Interaction, window: int | None = None, parent_id: InteractionId | None = None
    ) -> None:
        self.accepted = Accepted.of(interaction)
        self._interaction = interaction
        self._end = end_of(interaction, window, parent_id)
        if isinstance(self._end, Failed) and interaction.outcome is Outcome.INTERRUPTED:
            error = RequestInterrupted()
            self._end = replace(self._end, code=error.code, description=error.description)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events of the earlier reply, with all deltas as one."""
        yield self.accepted
        if self._interaction.reply:
            yield Delta(self._interaction.reply, self._interaction.usage.completion_tokens)
        yield self._end

    async def finished(self) -> End:
        """Return the last event of the earlier reply."""
        return self._end

    async def early_failure(self, *, within_s: float) -> Failed | None:  # noqa: ARG002 - it has ended
        """Return the failure of the earlier reply, if it failed."""
        return self._end if isinstance(self._end, Failed) else None

    async def abandon(self) -> None:
        """Do nothing: no reply is being written."""
