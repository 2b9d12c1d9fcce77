"""Replies that other processes write: they are followed by signals of their writer, and their end is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chatbill.application.chat.events import Accepted, Delta, Event, end_of
from chatbill.application.chat.reply_signals import REQUESTS, Told, follow_request, topic_of
from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.ports.signals import Inbox, Signals
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import UserId

POLL_S: Final = 1.0
"""After this time without a signal, the store is asked whether the reply has ended."""
MOST: Final = 20
"""The most replies of one user that are found."""


class RemoteReply:
    """A reply that another process writes, and that can be followed here.

    Its text is seen while it grows if signals of its writer arrive, and at its end in any case. The sweep ends it in
    its time if its writer is gone.
    """

    def __init__(self, interaction: Interaction, *, store: Store, signals: Signals, poll_s: float = POLL_S) -> None:
        self.accepted = Accepted.of(interaction)
        self.user_id = interaction.user_id
        self.settled: Interaction | None = None
        self._store = store
        self._signals = signals
        self._poll_s = poll_s
        self._text = ""

    async def follow(self) -> AsyncGenerator[Event, None]:
        """Yield `Accepted`, then what is written, then the end. The deltas have no tokens."""
        yield self.accepted
        interaction_id = self.accepted.interaction_id
        async with self._signals.listen(topic_of(interaction_id)) as inbox:
            while (ended := await self._read()) is not None and ended.is_running:
                await self._signals.send(REQUESTS, follow_request(interaction_id, len(self._text)))
                while new := await self._told(inbox):
                    self._text += new
                    yield Delta(new, 0)
        self.settled = ended
        if ended is not None:
            if rest := ended.reply.removeprefix(self._text) if ended.reply.startswith(self._text) else "":
                yield Delta(rest, ended.usage.completion_tokens)
            yield end_of(ended)

    async def _told(self, inbox: Inbox) -> str:
        """Return the next text; "" if there is none for a time, if some was lost, and at the end."""
        while message := await inbox.next(timeout_s=self._poll_s):
            told = Told.loads(message)
            if told.ended or told.start > len(self._text):
                return ""
            if new := told.text[len(self._text) - told.start :]:
                return new
        return ""

    async def _read(self) -> Interaction | None:
        return await self._store.read(lambda snapshot: snapshot.interactions.get(self.accepted.interaction_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRemoteReplies:
    """Find the replies of some users that other processes write now. None is written for more than `longest_s`."""

    store: Store
    replies: Replies
    signals: Signals
    clock: Clock
    longest_s: float

    async def __call__(self, user_ids: Sequence[UserId]) -> list[RemoteReply]:
        """Return at most `MOST` for each user, in one transaction for all."""
        if not user_ids:
            return []
        recent = Period(start=self.clock() - timedelta(seconds=self.longest_s))
        filters = HistoryFilter(outcome=Outcome.RUNNING, period=recent)

        def query(snapshot: Snapshot) -> list[Interaction]:
            found = (snapshot.interactions.history(each, filters, after=None, limit=MOST) for each in user_ids)
            return [interaction for of_user in found for interaction in of_user]

        running = await self.store.read(query)
        return [self.reply_of(each) for each in running if self.replies.get(each.id) is None]

    def reply_of(self, interaction: Interaction) -> RemoteReply:
        """Return the reply of an interaction that another process writes."""
        return RemoteReply(interaction, store=self.store, signals=self.signals)
