"""One reply between the event loop that reads it and the thread that writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from chatbill.adapters.inference.availability.model_availability import probe_request
from chatbill.adapters.inference.generation import BufferedGeneration, Item
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.shared.ids import ModelId


class Probe:
    """A test of the model: a reply of one token that uses the same queue and batch as others and has no reader."""

    cancelled = False
    is_probe = True

    def __init__(self, model: ModelId, prompt: Sequence[int]) -> None:
        self.request = probe_request(model)
        self.prompt = prompt
        self.max_tokens = self.request.max_tokens
        self.tokens_computed = 0
        self.cut_off: bool | None = None

    def deliver(self, item: Item) -> None:
        """Drop it; the worker records how the probe ended."""


class ThreadedGeneration(BufferedGeneration):
    """A place in a model's queue. `stream` and `close` are for the event loop, the rest is for the model's thread.

    `tokens_computed` counts the tokens that the model has computed, read or not.
    """

    is_probe = False

    def __init__(
        self,
        request: GenerationRequest,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        dropped_turns: int = 0,
        submit: Callable[[ThreadedGeneration], None],
        give_back: Callable[[BufferedGeneration], None],
    ) -> None:
        # The queue needs no limit of its own: it never holds more than `max_tokens` chunks.
        super().__init__(request, max_tokens=max_tokens, give_back=give_back)
        self.prompt = prompt
        self.dropped_turns = dropped_turns
        self.tokens_computed = 0
        self._submit = submit
        self._loop = asyncio.get_running_loop()

    @property
    def prompt_tokens(self) -> int:
        """Return the tokens that the model will read, including the control tokens of its template."""
        return len(self.prompt)

    @property
    def cancelled(self) -> bool:
        """True once the reply is not wanted any more; the thread looks here between two tokens."""
        return self._closed

    def deliver(self, item: Item) -> None:
        """Hand an item to the event loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            self._closed = True  # the loop is closed, so there is no reader

    def _begin(self) -> None:
        self._submit(self)


Job: TypeAlias = ThreadedGeneration | Probe
"""What a model's thread writes. Only that thread calls `deliver`, sets `cut_off` and counts `tokens_computed`."""
