"""Bounds the texts that one person stores with replies for which nothing was charged."""

from __future__ import annotations

from collections import Counter

from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.domain.chat.interactions import Interaction, Outcome, text_bytes
from chatbill.domain.shared.errors import RateLimited
from chatbill.domain.shared.ids import UserId

HOUR_S = 3_600
KIB = 1_024
RETRY_S = 5


class UnpaidTexts:
    """Counts the unpaid messages of each person in KiB, at most `kib_per_hour` within an hour (0: no limit).

    The rows of a message count as one KiB. Messages whose replies are being written count as if they were unpaid, up to
    the same limit.
    """

    def __init__(self, rate_limits: RateLimits, *, kib_per_hour: int) -> None:
        self._rate_limits = rate_limits
        reason = "too_much_text_unpaid"
        self._limit = Limit(name="unpaid texts", times=kib_per_hour, window_s=HOUR_S, reason=reason)
        self._running: Counter[UserId] = Counter()

    async def begin(self, user_id: UserId, text: str) -> UnpaidText:
        """Count a message until its end. Raises `RateLimited` when the person has stored too much."""
        await self._rate_limits.check(self._limit, user_id)
        kib = 1 + text_bytes(text) // KIB
        running = self._running[user_id]
        if running and 0 < self._limit.times < running + kib:
            raise RateLimited(self._limit.reason, retry_after_s=RETRY_S)
        self._running[user_id] += kib
        return UnpaidText(self, user_id, kib)

    async def end(self, user_id: UserId, kib: int, *, is_unpaid: bool) -> None:
        """Count a message that has ended, if it is unpaid."""
        self._running[user_id] -= kib
        if not self._running[user_id]:
            del self._running[user_id]  # or the counter would grow with every user
        if is_unpaid:
            await self._rate_limits.add(self._limit, user_id, kib)


def is_unpaid(interaction: Interaction) -> bool:
    """Return whether an interaction that has ended was neither charged nor completed."""
    return not interaction.credits_charged and interaction.outcome is not Outcome.COMPLETED


class UnpaidText:
    """One message that is counted until it ends."""

    def __init__(self, texts: UnpaidTexts, user_id: UserId, kib: int) -> None:
        self._texts = texts
        self._user_id = user_id
        self._kib = kib
        self._has_ended = False

    async def end(self, *, is_unpaid: bool) -> None:
        """Say whether the message is stored and unpaid. Later calls change nothing."""
        if not self._has_ended:
            self._has_ended = True
            await self._texts.end(self._user_id, self._kib, is_unpaid=is_unpaid)
