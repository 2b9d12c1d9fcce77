"""All feeds of this process, and what fills them: replies, balances and the states of models."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final

from chatbill.application.assembly import UseCases
from chatbill.application.chat.replies import Reply
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import ChatbillError, RateLimited
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.ui.live.feeds import Feed
from chatbill.entrypoints.ui.live.growing import FollowedReply, GrowingReply, glimpse
from chatbill.entrypoints.ui.markdown import to_html

WATCH_S: Final = 0.4
"""Balances of the people who have the page open are read this often, in one query for all."""
KEPT_S: Final = 60.0
"""A feed, and the end of a temporary reply, is kept this long for a connection that was lost."""
READERS_OF_PERSON: Final = 12
_RETRY_S: Final = 5

_log = logging.getLogger(__name__)


class Hub:
    """The feeds, at most `most` connections in all. It works only while somebody has the page open."""

    def __init__(self, use_cases: UseCases, *, most: int) -> None:
        self._use_cases = use_cases
        self._most = most
        self._feeds: dict[UserId, Feed] = {}
        self._watching: asyncio.Task[None] | None = None
        self._models: object = None
        self.closed = asyncio.Event()
        use_cases.chat.replies.watch(self._begun)

    def enter(self, principal: Principal) -> Feed:
        """Return the feed of a person for one more connection. Raises `RateLimited` if there are too many."""
        feed = self._feeds.get(principal.user_id)
        if feed is None:
            feed = Feed(user_id=principal.user_id, wallet_id=principal.wallet_id)
        if feed.readers >= READERS_OF_PERSON:
            raise RateLimited("too_many_tabs", retry_after_s=_RETRY_S, max=READERS_OF_PERSON)
        if sum(each.readers for each in self._feeds.values()) >= self._most:
            raise RateLimited("too_many_tabs", retry_after_s=_RETRY_S, max=self._most)
        feed.readers += 1
        self._feeds[feed.user_id] = feed
        for reply in self._use_cases.chat.replies.of_user(feed.user_id):
            self._follow(feed, reply)
        self._start()
        return feed

    def leave(self, feed: Feed) -> None:
        """Note that a connection of a feed has ended."""
        feed.readers -= 1
        feed.unread_since = asyncio.get_running_loop().time()

    def tell(self, user_id: UserId, name: str) -> None:
        """Tell the other tabs of a person that something changed, such as `conversations`."""
        if feed := self._feeds.get(user_id):
            feed.add(name, {})

    async def so_far(self, interaction: Interaction) -> GrowingReply:
        """Return a running reply as far as it is written, also by another process."""
        feed, reply = self._feeds.get(interaction.user_id), self._use_cases.chat.replies.get(interaction.id)
        if feed and (known := feed.growing.get(interaction.id)):
            return known
        if feed and reply:
            return self._follow(feed, reply)
        # The event connection of this person is at another process, or will come.
        return await glimpse(reply or self._use_cases.chat.find_remote_replies.reply_of(interaction))

    def kept(self, interaction: Interaction) -> dict[str, Any] | None:
        """Return the event for the end of a temporary reply, with its text; None if it ended more than a minute ago."""
        feed = self._feeds.get(interaction.user_id)
        return feed.kept(interaction.id) if feed else None

    def close(self) -> None:
        """End all connections, because the service stops. Replies go on."""
        self.closed.set()
        for feed in self._feeds.values():
            feed.close()
        if self._watching:
            self._watching.cancel()

    def _begun(self, reply: Reply) -> None:
        feed = self._feeds.get(reply.user_id)
        if reply.is_temporary:
            # Its text is lost for ever if nothing follows it, also where its page has no event connection now.
            feed = feed or self._feeds.setdefault(reply.user_id, Feed(user_id=reply.user_id, wallet_id=reply.wallet_id))
            feed.expect(reply.accepted.interaction_id)
            self._start()
        if feed:
            self._follow(feed, reply)

    def _start(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="balances of open pages")

    def _follow(self, feed: Feed, reply: FollowedReply) -> GrowingReply:
        return feed.follow(reply, partial(self._settled, feed.user_id))

    async def _settled(self, user_id: UserId, growing: GrowingReply) -> None:
        """Tell the end of a reply. The balance follows within the next round.

        The text of a temporary one is nowhere else: the page that asked for it keeps it.
        """
        feed, reply = self._feeds.get(user_id), growing.reply
        end = reply.settled
        if feed is None:
            return
        ids: dict[str, Any] = {"id": reply.accepted.interaction_id, "conversation": reply.accepted.conversation_id}
        charged = end.credits_charged if end else 0
        if end and end.temporary:
            # In a thread, because a long text takes longer than other people should wait.
            text = end.reply or growing.text
            ids |= {"reply": text, "html": await asyncio.to_thread(to_html, text)}
        told = {**ids, "credits": charged, "outcome": end.outcome if end else "failed"}
        if "reply" in told:
            feed.keep(told)
        feed.add("settled", told)
        feed.add("conversations", {})

    async def _watch(self) -> None:
        """Compare balances and models with what was told, as long as there is a feed."""
        while self._feeds:
            self._forget_old()
            try:
                await self._compare_balances()
                await self._follow_remote_replies()
                self._compare_models()
            except ChatbillError:
                pass  # the store does not answer, which others report
            except Exception:  # noqa: BLE001 - logged; balances of all open pages depend on this task
                _log.exception("open_pages_not_watched")
            await asyncio.sleep(WATCH_S)

    async def _compare_balances(self) -> None:
        wallets = await self._use_cases.billing.read_balances([each.wallet_id for each in self._read()])
        for feed in self._read():
            if wallet := wallets.get(feed.wallet_id):
                feed.note(wallet)

    async def _follow_remote_replies(self) -> None:
        """Follow the replies of other processes: those of people of whom more is held than for replies on the page."""
        waiting = [feed.user_id for feed in self._read() if feed.balance and feed.balance["held"] > feed.held]
        for reply in await self._use_cases.chat.find_remote_replies(waiting):
            if feed := self._feeds.get(reply.user_id):
                self._follow(feed, reply)

    def _read(self) -> list[Feed]:
        return [feed for feed in self._feeds.values() if feed.readers]

    def _forget_old(self) -> None:
        old = asyncio.get_running_loop().time() - KEPT_S
        for feed in list(self._feeds.values()):
            feed.forget(before=old)
            if not feed.readers and not feed.is_awaited and feed.unread_since < old:
                feed.close()
                del self._feeds[feed.user_id]

    def _compare_models(self) -> None:
        models = [(offer.model.id, offer.available) for offer in self._use_cases.chat.list_models()]
        if self._models is not None and models != self._models:
            for feed in self._read():
                feed.add("models", {})
        self._models = models
