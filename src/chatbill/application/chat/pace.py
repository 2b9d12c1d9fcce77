"""The pace at which a model writes, and replies that are no longer than it can write in time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator

from chatbill.application.ports.engine import Chunk, Generation
from chatbill.application.ports.wrapped_generation import WrappedGeneration

KNOWN_AFTER = 2
"""A pace is known after replies that took as long to write as this number of time limits; older ones are forgotten."""
USED_SHARE = 0.75
"""The rest of the time is for moments in which the model is slower than it was."""
LEAST_TOKENS = 16
"""A shorter reply is of no use, and too short to show that the model has become faster."""
STEP_TOKENS = 8
MAX_SEEN = 1_000


class Pace:
    """The pace of one model in tokens per second, as its latest replies showed; kept in this process.

    `deadline_s` is the longest time that a reply may take, in seconds. Until the pace is known, there is no limit.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self._known_after_s = KNOWN_AFTER * deadline_s
        self._seen: deque[tuple[int, float]] = deque()
        self._tokens = 0
        self._seconds = 0.0

    def record(self, *, tokens: int, took_s: float) -> None:
        """Record that a reply, complete or not, had this number of tokens within this time after its first one."""
        self._seen.append((tokens, took_s))
        self._tokens += tokens
        self._seconds += took_s
        while len(self._seen) > MAX_SEEN or self._seconds - self._seen[0][1] >= self._known_after_s:
            tokens, took_s = self._seen.popleft()
            self._tokens -= tokens
            self._seconds -= took_s

    def tokens_within(self, seconds: float) -> float:
        """Return the most tokens that a reply may have to be complete within this time; infinity while unknown."""
        if self._seconds < self._known_after_s:
            return math.inf
        most = int(USED_SHARE * seconds * self._tokens / self._seconds)
        # Multiples, so that replies to a repeated prompt have the same limit and can come from a cache.
        return max(LEAST_TOKENS, most - most % STEP_TOKENS)


class PacedGeneration(WrappedGeneration):
    """A generation that ends, with `cut_off`, before its model would run into the time limit of the reply.

    Its limit is set with the first token, from the time that is left. Thoughts, whose tokens come with the first text
    or at the end, are not limited. Its own pace is recorded, unless it is cached.
    """

    def __init__(self, generation: Generation, pace: Pace, *, deadline_s: float) -> None:
        super().__init__(generation)
        self.tokens_written = 0
        self._tokens_of_text = 0
        self._pace = pace
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._limit = math.inf
        self._first_tokens = 0
        self._first_at: float | None = None
        self._is_recorded = generation.cached

    @property
    def completion_tokens(self) -> int | None:
        """Return the engine's count; None for a reply that is cut off here, of which only the chunks count."""
        return None if self._is_cut_off_here else self._generation.completion_tokens

    @property
    def cut_off(self) -> bool | None:
        """Return True for a reply that is cut off here, and else what the engine says."""
        return True if self._is_cut_off_here else self._generation.cut_off

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the engine's chunks, up to the limit by the pace."""
        started = self._loop.time()
        try:
            async for chunk in self._generation.stream():
                if chunk.tokens and self._first_at is None:
                    self._first_at, self._first_tokens = self._loop.time(), chunk.tokens
                    if not self.cached:
                        within = self._pace.tokens_within(self._deadline_s - (self._first_at - started))
                        self._limit = chunk.tokens - 1 + within
                self.tokens_written += chunk.tokens
                self._tokens_of_text += chunk.tokens if chunk.text else 0
                yield chunk
                if self._is_cut_off_here:
                    return
        finally:
            self._record()

    async def close(self) -> None:
        """Close the engine's generation."""
        self._record()
        await super().close()

    @property
    def _is_cut_off_here(self) -> bool:
        return self._tokens_of_text >= self._limit

    def _record(self) -> None:
        if self._first_at is not None and not self._is_recorded:
            self._is_recorded = True
            tokens = self.tokens_written - self._first_tokens
            self._pace.record(tokens=tokens, took_s=self._loop.time() - self._first_at)
