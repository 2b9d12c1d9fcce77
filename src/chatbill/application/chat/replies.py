"""A reply that is being written: a task, which clients can follow and stop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from enum import StrEnum
from typing import Any

from chatbill.application.chat.events import Accepted, Completed, Delta, End, Event, Failed, end_of
from chatbill.application.chat.messages import NOTHING_SAID, Said
from chatbill.application.chat.settlement import INTERRUPTED, Ending
from chatbill.application.ports.engine import THINKING, Generation
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Interaction, Outcome, storable
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    ChatbillError,
    ContentFiltered,
    GenerationFailed,
    GenerationTimeout,
)

CLOSE_TIMEOUT_S = 10.0
"""How long an engine may take to stop computing before the reply is settled without it."""

_log = logging.getLogger(__name__)

Settle = Callable[[Ending], Awaitable[Interaction]]


class StopReason(StrEnum):
    """The cause for which a reply was stopped."""

    PERSON = "person"
    LOST_CONNECTION = "lost_connection"
    SHUTDOWN = "shutdown"


class Reply:
    """One reply while it is written, and the stream of its events.

    The writing is a task of its own: it is settled also when its clients disconnect. Iterate over the reply once for
    its events and leave early with `abandon`, or `follow` it. An empty reply is a failure, unless it `may_be_empty`.
    `window` is the model's, in tokens, and `said` is what was said before.
    """

    def __init__(
        self,
        interaction: Interaction,
        generation: Generation,
        *,
        deadline_s: float,
        settle: Settle,
        first_token_s: float = math.inf,
        may_be_empty: bool = False,
        window: int | None = None,
        said: Said = NOTHING_SAID,
    ) -> None:
        self.accepted = Accepted.of(interaction)
        self.user_id = interaction.user_id
        self.wallet_id = interaction.wallet_id
        self._interaction = interaction
        self._generation = generation
        self._deadline_s = deadline_s
        self._first_token_s = min(first_token_s, deadline_s)
        self._may_be_empty = may_be_empty
        self._window = window
        self._said = said
        self._loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._settle = settle
        self._stop: asyncio.Future[StopReason] = self._loop.create_future()
        self._written: list[Delta] = []
        self._taken = 0
        self._followers: set[asyncio.Event] = set()
        self._started = self._loop.time()
        self._first_token_ms: int | None = None
        self._facts = {"interaction_id": interaction.id, "model": interaction.model}
        self._task = asyncio.create_task(self._write(), name=f"reply {interaction.id}")

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield `Accepted`, then each `Delta` when it is written, then one final event."""
        async with aclosing(self.follow()) as events:
            async for event in events:
                self._taken += isinstance(event, Delta)
                yield event

    async def follow(self) -> AsyncGenerator[Event, None]:
        """Yield all events from the first one on, also those of the past. They are not taken, so no charge changes."""
        news, seen = asyncio.Event(), 0
        self._followers.add(news)
        self.when_finished(news.set)
        try:
            yield self.accepted
            while True:
                news.clear()
                while seen < len(self._written):
                    seen += 1
                    yield self._written[seen - 1]
                if self._task.done():
                    yield self._task.result()
                    return
                await news.wait()
        finally:
            self._followers.discard(news)

    @property
    def is_temporary(self) -> bool:
        """Return whether its text is stored nowhere."""
        return self._interaction.temporary

    def stop(self, reason: StopReason = StopReason.PERSON) -> None:
        """Stop writing; the stream still ends with its last event. Later calls change nothing."""
        if not self._stop.done():
            self._stop.set_result(reason)

    @property
    def is_stopped(self) -> bool:
        """Return True once it was stopped."""
        return self._stop.done()

    @property
    def settled(self) -> Interaction | None:
        """Return the interaction as it was settled; None before that, and if the store did not take its end."""
        if not self._task.done() or self._task.cancelled():
            return None
        interaction = self._task.result().interaction
        return None if interaction.is_running else interaction

    async def abandon(self) -> None:
        """Stop writing because the client has left; return when the reply is settled.

        Only the events that were taken from the stream are charged, which are none where nothing iterated.
        """
        self.stop(StopReason.LOST_CONNECTION)
        await self.finished()

    async def finished(self) -> End:
        """Return the last event once the reply is settled; takes no event from the stream.

        Cancelling this wait leaves the reply alone.
        """
        return await asyncio.shield(self._task)

    async def early_failure(self, *, within_s: float) -> Failed | None:
        """Return the failure of a reply that ends before its first token and within this time; takes no event."""
        watched: set[asyncio.Future[Any]] = {self._task, self._begun}
        await asyncio.wait(watched, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if self._begun.done() or not self._task.done():
            return None
        end = self._task.result()
        return end if isinstance(end, Failed) else None

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call `callback` once the reply is settled."""
        self._task.add_done_callback(lambda _task: callback())

    async def _write(self) -> End:
        try:
            ending = await self._generate()
            end = end_of(await self._settle(ending), self._window, self._said.parent_id)
        except Exception:  # noqa: BLE001 - clients must get an end in any case
            # The sweep will release its hold.
            _log.exception("reply_not_settled", extra=self._facts)
            unsettled = Description("reply_unsettled")
            return Failed(interaction=self._interaction, code="store_unavailable", description=unsettled)
        if isinstance(end, Completed):
            return replace(end, cut_off=self._generation.cut_off)
        # Where a sweep or a stop came first, the end is another one.
        if isinstance(end, Failed) and ending.error and end.code == ending.error.code:
            return replace(end, retry_after_s=ending.error.retry_after_s)
        return end

    async def _generate(self) -> Ending:
        collecting = asyncio.create_task(self._collect())
        try:
            watched: set[asyncio.Future[Any]] = {collecting, self._stop}
            done, _ = await asyncio.wait(
                {*watched, self._begun}, timeout=self._first_token_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done == {self._begun}:
                left_s = self._deadline_s - (self._loop.time() - self._started)
                await asyncio.wait(watched, timeout=max(0, left_s), return_when=asyncio.FIRST_COMPLETED)
            if collecting.done():
                return self._ended(collecting)
            collecting.cancel()
            await asyncio.wait({collecting}, timeout=CLOSE_TIMEOUT_S)
            return self._cut_short()
        finally:
            await self._close_generation()

    async def _collect(self) -> None:
        async for chunk in self._generation.stream():
            if not self._begun.done():
                self._first_token_ms = round((self._loop.time() - self._started) * 1_000)
                self._begun.set_result(None)
            if chunk == THINKING:
                continue
            # What is streamed is what will be stored; and what cannot be stored may not be sent either.
            self._written.append(Delta(storable(chunk.text), chunk.tokens))
            for news in self._followers:
                news.set()

    async def _close_generation(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._generation.close()
        except Exception:  # noqa: BLE001 - a broken engine must not keep the reply from being settled
            _log.exception("reply_not_stopped_cleanly", extra=self._facts)

    def _ended(self, collecting: asyncio.Task[None]) -> Ending:
        error = collecting.exception()
        if error is None:
            has_text = any(delta.text for delta in self._written)
            if self._generation.filtered:
                if not has_text:
                    self._written.clear()  # a reply of which nothing was shown is free
                return self._ending(Outcome.STOPPED, ContentFiltered())
            if self._may_be_empty or has_text:
                return self._ending(Outcome.COMPLETED)
            error = GenerationFailed("empty_reply")
        _log.error("reply_failed", exc_info=error, extra=self._facts)
        return self._ending(Outcome.FAILED, error if isinstance(error, ChatbillError) else GenerationFailed())

    def _cut_short(self) -> Ending:
        if not self._stop.done():
            return self._ending(Outcome.TIMED_OUT, self._too_late())
        reason = self._stop.result()
        if reason is StopReason.SHUTDOWN:
            return self._ending(Outcome.INTERRUPTED, INTERRUPTED.error)
        if reason is StopReason.LOST_CONNECTION:
            # What was written but never taken was not delivered.
            del self._written[self._taken :]
        return self._ending(Outcome.STOPPED)

    def _too_late(self) -> GenerationTimeout:
        if self._begun.done() or self._first_token_s == self._deadline_s:
            return GenerationTimeout(after_s=self._deadline_s)
        return GenerationTimeout(after_s=self._first_token_s, what="first_word")

    def _ending(self, outcome: Outcome, error: ChatbillError | None = None) -> Ending:
        told = self._generation.completion_tokens if outcome is Outcome.COMPLETED else None
        tokens = sum(delta.tokens for delta in self._written) if told is None else told
        return Ending(
            outcome=outcome,
            reply="".join(delta.text for delta in self._written),
            usage=Usage(prompt_tokens=self._generation.prompt_tokens, completion_tokens=tokens),
            error=error,
            dropped_turns=self._generation.dropped_turns + self._said.unread_turns,
            first_token_ms=self._first_token_ms,
        )
