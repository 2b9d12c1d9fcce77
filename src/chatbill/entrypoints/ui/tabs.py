"""The browser tabs that have the page open: who owns each, what it shows, and the reply that it follows.

Gradio names a tab by a hash that the browser chooses, and gives everything of a tab to every client that knows the
hash. Here a tab is named by that hash and the sign-in together, so the hash of one person is useless to another.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import RateLimited
from chatbill.domain.shared.ids import ConversationId, InteractionId, UserId
from chatbill.entrypoints.ui.widgets import NEW

MAX_TABS = 1_000
"""Gradio keeps about 50 KB and what is shown for each."""
MAX_TABS_OF_PERSON = 10
MAX_FOLLOWERS = 256
MAX_FOLLOWERS_OF_PERSON = 8
"""More tabs see only the end of a reply, because a handler is busy for each that sees it grow."""
LEAVE_TIMEOUT_S = 2.0

_RETRY_S = 5


def tab_id(principal: Principal, session_hash: str) -> str:
    """Return the name of a tab inside this service."""
    return hashlib.sha256(f"{principal.session_id}/{session_hash}".encode()).hexdigest()[:40]


class Follower:
    """A handler that shows a reply in a tab while it is written, until the tab shows something else."""

    def __init__(self) -> None:
        self.interaction_id: InteractionId | None = None
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()


@dataclass(slots=True, eq=False)
class Tab:
    """An open tab. `shown` is what its address names, None where that is not known.

    `newest` is the last interaction that it shows, and `streams` counts its open event streams.
    """

    user_id: UserId | None = None
    shown: str | None = None
    newest: InteractionId | None = None
    follower: Follower | None = None
    streams: int = 0

    def shows(self, current: ConversationId | None, newest: InteractionId | None) -> None:
        """Note what the tab shows."""
        self.shown, self.newest = current or NEW, newest

    @contextmanager
    def following(self) -> Iterator[Follower]:
        """Make the caller the follower of this tab."""
        self.follower = follower = Follower()
        try:
            yield follower
        finally:
            follower.gone.set()
            if self.follower is follower:
                self.follower = None

    async def leave(self) -> None:
        """Return once nothing more of the reply that the tab follows will be shown in it. The reply goes on."""
        if follower := self.follower:
            if not follower.left.done():
                follower.left.set_result(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(follower.gone.wait(), LEAVE_TIMEOUT_S)


@dataclass(slots=True, kw_only=True)
class Tabs:
    """The tabs that were used last, a bounded number for each person and in all.

    `forget` is called with the name of a tab that must make place for another one. Such a tab is made again by its
    next event.
    """

    forget: Callable[[str], None]
    _tabs: OrderedDict[str, Tab] = field(default_factory=OrderedDict)

    def __getitem__(self, name: str | None) -> Tab:
        """Return a tab; a new one that is not kept if it is not known."""
        return self._tabs.get(name or "") or Tab()

    def streams(self) -> int:
        """Return the number of event streams that are open."""
        return sum(tab.streams for tab in self._tabs.values())

    def enter(self, name: str, user_id: UserId) -> Tab:
        """Return a tab for an event in it, and keep it. Raises `RateLimited` if no other one can make place for it."""
        if name not in self._tabs:
            own = [each for each, tab in self._tabs.items() if tab.user_id == user_id]
            if len(own) >= MAX_TABS_OF_PERSON:
                self._make_place(own, MAX_TABS_OF_PERSON)
            elif len(self._tabs) >= MAX_TABS:
                self._make_place(list(self._tabs), MAX_TABS)
            self._tabs[name] = Tab(user_id)
        self._tabs.move_to_end(name)
        return self._tabs[name]

    def may_follow(self, user_id: UserId) -> bool:
        """Return False if more tabs follow replies than may, of this person or in all. Ask as a follower."""
        followed = [tab.user_id for tab in self._tabs.values() if tab.follower]
        return len(followed) <= MAX_FOLLOWERS and followed.count(user_id) <= MAX_FOLLOWERS_OF_PERSON

    def _make_place(self, among: list[str], most: int) -> None:
        idle = next((name for name in among if not self._tabs[name].streams), None)
        if idle is None:
            raise RateLimited("too_many_tabs", retry_after_s=_RETRY_S, max=most)
        del self._tabs[idle]
        self.forget(idle)
