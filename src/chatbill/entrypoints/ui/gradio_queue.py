"""What Gradio keeps for each tab, and its handlers. No other module reaches into Gradio."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr


class GradioQueue:
    """The queue of a page: the handlers that an event can call, and the answers that a tab has not fetched."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks
        self._queue: Any = blocks._queue  # noqa: SLF001 - Gradio has no other way
        self._cleaning: set[asyncio.Task[None]] = set()

    def accepts(self, handler: int, values: int) -> bool:
        """Return whether there is a handler with this number that takes so many values."""
        function = self._blocks.fns.get(handler)
        return function is not None and function.fn is not None and len(function.inputs) == values

    def is_known(self, tab: str) -> bool:
        """Return whether the tab has sent an event."""
        return tab in self._queue.pending_messages_per_session

    def unanswered(self, tab: str) -> int:
        """Return how many events of the tab have no answer yet, or one that was not fetched."""
        return len(self._queue.pending_event_ids_session.get(tab, ()))

    def forget(self, tab: str) -> None:
        """Drop what is kept for a tab, and end its handlers at their next update. Call it on the event loop."""
        task = asyncio.ensure_future(self._forget(tab))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    async def _forget(self, tab: str) -> None:
        queue, states = self._queue, self._blocks.state_holder
        # Handlers that run come first, because they put their updates into what is dropped next.
        await queue.clean_events(session_hash=tab)
        queue.pending_event_ids_session.pop(tab, None)
        queue.pending_messages_per_session.pop(tab, None)
        states.session_data.pop(tab, None)
        states.time_last_used.pop(tab, None)
