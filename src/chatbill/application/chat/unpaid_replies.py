"""Bounds what one person leaves unpaid: replies that were computed and for which nothing may be charged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chatbill.application.chat.settlement import Ending
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import UserId

HOUR_S = 3_600
TOKENS_COUNTED_AS_ONE = 100
"""Tokens are counted in blocks, because a limit keeps the time of everything that it counts."""
_REASON = "too_much_unpaid"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpaidReplies:
    """Counts the unpaid replies and their tokens of each person, and refuses more messages at the limit (0: none).

    Counted are replies that were stopped or left before anything was delivered, that timed out, or that are empty. A
    failure of the engine and a stop of the service are not the person's doing. Replies that run at the same time may
    exceed the limit together, once: they are counted when they end.
    """

    rate_limits: RateLimits
    replies_per_hour: int
    tokens_per_hour: int

    async def check(self, user_id: UserId) -> None:
        """Raise `RateLimited` when this person has left too much unpaid within an hour."""
        for limit in self._limits:
            await self.rate_limits.check(limit, user_id)

    async def record(self, interaction: Interaction, ending: Ending, *, tokens_written: int) -> None:
        """Count a reply that has ended, if it is unpaid, with the tokens that were written, delivered or not."""
        if _is_unpaid(interaction, ending):
            replies, tokens = self._limits
            await self.rate_limits.add(replies, interaction.user_id)
            await self.rate_limits.add(tokens, interaction.user_id, _blocks(tokens_written))

    @property
    def _limits(self) -> tuple[Limit, Limit]:
        return (
            Limit(name="unpaid replies", times=self.replies_per_hour, window_s=HOUR_S, reason=_REASON),
            Limit(name="unpaid tokens", times=_blocks(self.tokens_per_hour), window_s=HOUR_S, reason=_REASON),
        )


def _blocks(tokens: int) -> int:
    return math.ceil(tokens / TOKENS_COUNTED_AS_ONE)


def _is_unpaid(interaction: Interaction, ending: Ending) -> bool:
    if interaction.credits_charged or not interaction.held or interaction.outcome is not ending.outcome:
        return False
    if interaction.outcome is Outcome.FAILED:
        return ending.error is not None and ending.error.description.code == "empty_reply"
    return interaction.outcome is not Outcome.INTERRUPTED
