"""One reply on its way: the bridge between the event loop that reads it and the thread that writes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeAlias

from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.shared.errors import GenerationFailed

Item: TypeAlias = Chunk | GenerationFailed | None
"""A piece of the reply, the error that ended it, or None when it is whole."""


class Job(Protocol):
    """What a model's thread needs of a reply that it is to write. It is called from that thread alone."""

    request: GenerationRequest
    prompt: Sequence[int]
    max_tokens: int
    tokens_computed: int
    cut_off: bool | None

    @property
    def is_trial(self) -> bool:
        """True where nobody reads it, and only whether the model works is of interest."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the reply."""
        ...

    def deliver(self, item: Item) -> None:
        """Take a piece, or the end."""
        ...


class ThreadedGeneration:
    """A place in a model's queue. `stream` and `close` are for the event loop, the rest for the model's thread.

    `tokens_computed` is how many tokens of the reply the model has computed, whoever has read them.
    """

    completion_tokens: int | None = None
    cut_off: bool | None = None
    cached = False
    is_trial = False

    def __init__(
        self,
        request: GenerationRequest,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        submit: Callable[[ThreadedGeneration], None],
        give_back: Callable[[], None],
    ) -> None:
        self.request = request
        self.prompt = prompt
        self.max_tokens = max_tokens
        self.tokens_computed = 0
        self._submit = submit
        self._give_back = give_back
        self._cancelled = threading.Event()
        self._loop = asyncio.get_running_loop()
        # No bound of its own: it never holds more than `max_tokens` pieces.
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the model will read, control tokens of its template included."""
        return len(self.prompt)

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the reply; the thread looks here between two tokens."""
        return self._cancelled.is_set()

    async def stream(self) -> AsyncIterator[Chunk]:
        """Queue for the model, and pass its pieces on as they come."""
        try:
            if not self.cancelled:
                self._submit(self)
            while not self.cancelled:
                item = await self._items.get()
                if isinstance(item, GenerationFailed):
                    raise item
                if item is None or self.cancelled:
                    return
                yield item
        finally:
            await self.close()

    async def close(self) -> None:
        """Tell the thread to stop, wake the reader, and give the place back."""
        if not self.cancelled:
            self._cancelled.set()
            self._items.put_nowait(None)
            self._give_back()

    def deliver(self, item: Item) -> None:
        """Hand an item to the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            self._cancelled.set()  # the loop is closed: nobody will ever read this
