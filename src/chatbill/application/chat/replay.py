"""Replays: the stream of events of an earlier reply, made from its record."""

from __future__ import annotations

from collections.abc import AsyncIterator

from chatbill.application.chat.events import Accepted, Delta, End, Event, end_of
from chatbill.domain.chat.interactions import Interaction


class Replay:
    """The answer to a repeated request. It is used as a `Reply` is, and costs nothing."""

    def __init__(self, interaction: Interaction) -> None:
        self.accepted = Accepted.of(interaction)
        self._interaction = interaction

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events of the earlier reply, with all deltas as one."""
        yield self.accepted
        if self._interaction.reply:
            yield Delta(self._interaction.reply, self._interaction.usage.completion_tokens)
        yield end_of(self._interaction)

    async def finished(self) -> End:
        """Return the last event of the earlier reply."""
        return end_of(self._interaction)

    async def abandon(self) -> None:
        """Do nothing: no reply is being written."""
