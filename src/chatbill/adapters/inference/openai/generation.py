"""The reply of a server to one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from chatbill.adapters.inference.generation import BufferedGeneration, Item
from chatbill.adapters.inference.openai.counting import PromptSize
from chatbill.adapters.inference.window import Window
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.shared.errors import ChatbillError, GenerationFailed

_MAX_AHEAD = 64
"""The most chunks that are read ahead of the reader."""


class RemoteGeneration(BufferedGeneration):
    """The reply of a model server to one request, from its place in the queue on.

    `read` runs in a task of its own, so that `close` can cancel it and its request to the server at any moment. `read`
    gives each chunk to `pass_on` and the counts to `counted`.
    """

    def __init__(
        self,
        request: GenerationRequest,
        prompt: PromptSize,
        *,
        window: Window,
        read: Callable[[RemoteGeneration], Awaitable[None]],
        give_back: Callable[[BufferedGeneration], None],
    ) -> None:
        super().__init__(request, max_tokens=window.most, give_back=give_back, max_ahead=_MAX_AHEAD)
        self.window = window
        self.prompt = prompt
        self.prompt_tokens = self._max_prompt_tokens = window.prompt_tokens
        self._read = read
        self._reading: asyncio.Task[None] | None = None

    async def pass_on(self, chunk: Chunk) -> None:
        """Give a chunk to the reader; waits while the queue is full."""
        await self._items.put(chunk)

    def fitted(self, prompt: PromptSize) -> None:
        """Set the prompt that the server will read, and the limits that follow from it."""
        self.prompt = prompt
        self.dropped_turns = len(self.request.turns) - len(prompt.turns)
        reserved = prompt.window if prompt.window <= self.window.prompt_tokens else prompt.likely
        self.max_tokens = self.window.reply_tokens(reserved)
        self.prompt_tokens = self._max_prompt_tokens = min(self._max_prompt_tokens, prompt.most)

    def counted(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Set the counts of the server or a tokenizer; that of the prompt is at most what was held for."""
        if prompt_tokens is not None:
            self.prompt_tokens = min(self._max_prompt_tokens, prompt_tokens)
        self.completion_tokens = completion_tokens

    def _begin(self) -> None:
        # The hold is made by now; what is charged should be the likely count rather than the largest possible one.
        self.counted(self.prompt.likely, None)
        self._reading = asyncio.create_task(self._run())

    async def _stop(self) -> None:
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _run(self) -> None:
        end: Item = None
        try:
            await self._read(self)
        except ChatbillError as error:
            end = error
        except Exception as error:  # noqa: BLE001 - the reader must get an end for every error
            end = GenerationFailed()
            end.__cause__ = error
        with suppress(asyncio.CancelledError):
            await self._items.put(end)
