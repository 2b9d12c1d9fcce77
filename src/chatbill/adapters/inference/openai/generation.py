"""One reply of a server on its way to the person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from chatbill.adapters.inference.openai.counting import PromptSize
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.shared.errors import ChatbillError, GenerationFailed

Item: TypeAlias = Chunk | ChatbillError | None
"""A piece of the reply, the error that ended it, or None when it is whole."""

_MAX_AHEAD = 64
"""Pieces read from the server before anybody took them."""


class RemoteGeneration:
    """A place among those a server may be asked for at once.

    Reading from the server is a task of its own, so that `close` can end it, and with it the request there, at any
    moment. `read` does it: it gives each piece to `pass_on` and what was counted to `counted`.
    """

    cached = False

    def __init__(
        self,
        request: GenerationRequest,
        prompt: PromptSize,
        *,
        max_tokens: int,
        most_prompt_tokens: int,
        read: Callable[[RemoteGeneration], Awaitable[None]],
        give_back: Callable[[RemoteGeneration], None],
    ) -> None:
        self.request = request
        self.prompt = prompt
        self.max_tokens = max_tokens
        self.prompt_tokens = self._most_prompt_tokens = most_prompt_tokens
        self.completion_tokens: int | None = None
        self.cut_off: bool | None = None
        self._read = read
        self._give_back = give_back
        self._closed = False
        self._reading: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[Item] = asyncio.Queue(_MAX_AHEAD)

    async def stream(self) -> AsyncIterator[Chunk]:
        """Ask the server, and pass its pieces on as they come."""
        try:
            if not self._closed:
                # From here on the hold is made, and what is charged should be likely rather than the most.
                self.counted(self.prompt.likely, None)
                self._reading = asyncio.create_task(self._run())
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
        """End the request at the server, wake the reader, and give the place back."""
        await self.end(None)

    async def end(self, error: ChatbillError | None) -> None:
        """Close it; a reader that waits gets the error, if there is one."""
        if self._closed:
            return
        self._closed = True
        self._give_back(self)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            await asyncio.wait({self._reading})
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait(error)

    async def pass_on(self, piece: Chunk) -> None:
        """Give a piece to the reader; waits while it lags behind."""
        await self._items.put(piece)

    def fitted(self, prompt: PromptSize) -> None:
        """Set what will be read, once that is known."""
        self.prompt = prompt
        self.prompt_tokens = self._most_prompt_tokens = min(self._most_prompt_tokens, prompt.most)

    def counted(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Note what the server, or a tokenizer, counted. What was held for is never passed."""
        if prompt_tokens is not None:
            self.prompt_tokens = min(self._most_prompt_tokens, prompt_tokens)
        self.completion_tokens = completion_tokens

    async def _run(self) -> None:
        end: Item = None
        try:
            await self._read(self)
        except ChatbillError as error:
            end = error
        except Exception as error:  # noqa: BLE001 - whatever broke, the reader must hear an end
            end = GenerationFailed()
            end.__cause__ = error
        with suppress(asyncio.CancelledError):
            await self._items.put(end)
