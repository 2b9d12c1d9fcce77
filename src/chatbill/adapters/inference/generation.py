"""Buffer one reply between its writer and its reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.shared.errors import ChatbillError

Item: TypeAlias = Chunk | ChatbillError | None
"""A chunk of the reply, the error that ended it, or None when it is complete."""


class BufferedGeneration:
    """A place of a model, and a queue of at most `max_ahead` items (0: no limit) between its writer and its reader.

    A subclass starts the writer in `_begin` and stops it in `_stop`.
    """

    completion_tokens: int | None = None
    cut_off: bool | None = None
    cached = False
    filtered = False
    dropped_turns = 0

    def __init__(
        self,
        request: GenerationRequest,
        *,
        max_tokens: int,
        give_back: Callable[[BufferedGeneration], None],
        max_ahead: int = 0,
    ) -> None:
        self.request = request
        self.max_tokens = max_tokens
        self._give_back = give_back
        self._closed = False
        self._items: asyncio.Queue[Item] = asyncio.Queue(max_ahead)

    async def stream(self) -> AsyncIterator[Chunk]:
        """Start the writer, and yield its chunks as they come."""
        try:
            if not self._closed:
                self._begin()
            while not (self._closed and self._items.empty()):
                item = await self._items.get()
                if isinstance(item, ChatbillError):
                    raise item
                if item is None or self._closed:
                    return
                yield item
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop the writer, wake the reader, and give the place back."""
        await self.end(None)

    async def end(self, error: ChatbillError | None) -> None:
        """Close it; a reader that waits gets the error, if there is one."""
        if self._closed:
            return
        self._closed = True
        self._give_back(self)
        await self._stop()
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait(error)

    def _begin(self) -> None:
        raise NotImplementedError

    async def _stop(self) -> None:
        """Stop the writer; by default it looks at `_closed` by itself."""
