"""Engines that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.ids import ModelId

PARTS = 400


class ControlledGeneration:
    """Writes and ends as a test tells it, and records whether it was closed."""

    def __init__(self, request: GenerationRequest, *, prompt_tokens: int) -> None:
        self.request = request
        self.prompt_tokens = prompt_tokens
        self.completion_tokens: int | None = None
        self.cut_off: bool | None = None
        self.cached = self.filtered = False
        self.dropped_turns = 0
        self.closed = False
        self.streaming = asyncio.Event()
        self._moves: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue()

    def say(self, text: str, tokens: int = 1) -> None:
        self._moves.put_nowait(Chunk(text, tokens))

    def end(self) -> None:
        self._moves.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self._moves.put_nowait(error)

    async def stream(self) -> AsyncIterator[Chunk]:
        self.streaming.set()
        while True:
            move = await self._moves.get()
            if move is None:
                return
            if isinstance(move, Exception):
                raise move
            yield move

    async def close(self) -> None:
        self.closed = True


class ControlledEngine:
    """Returns controlled generations, or raises its `refusal` if one is set."""

    name = "controlled"

    def __init__(self, models: Mapping[ModelId, object], *, prompt_tokens: int = 10) -> None:
        self._models = models
        self._prompt_tokens = prompt_tokens
        self.refusal: ChatbillError | None = None
        self.generations: list[ControlledGeneration] = []

    @property
    def last(self) -> ControlledGeneration:
        return self.generations[-1]

    def status(self) -> Mapping[ModelId, ModelStatus]:
        return {model: ModelStatus(state=ModelState.READY) for model in self._models}

    async def start(self) -> None:
        pass

    async def prepare(self, request: GenerationRequest) -> Generation:
        if self.refusal:
            raise self.refusal
        self.generations.append(ControlledGeneration(request, prompt_tokens=self._prompt_tokens))
        return self.last

    async def close(self) -> None:
        pass


class VerbatimEngine:
    """Replies with the message itself, exactly, in at most `PARTS` chunks, one every `pause_s` seconds."""

    name = "verbatim"

    def __init__(self, models: Mapping[ModelId, object], *, pause_s: float = 0.0) -> None:
        self._models = models
        self._pause_s = pause_s

    def status(self) -> Mapping[ModelId, ModelStatus]:
        return {model: ModelStatus(state=ModelState.READY) for model in self._models}

    async def start(self) -> None:
        pass

    async def prepare(self, request: GenerationRequest) -> Generation:
        return _VerbatimGeneration(request.turns[-1].text, self._pause_s)

    async def close(self) -> None:
        pass


class _VerbatimGeneration:
    prompt_tokens = 1
    completion_tokens: int | None = None
    cut_off: bool | None = None
    cached = filtered = False
    dropped_turns = 0

    def __init__(self, text: str, pause_s: float) -> None:
        self._text = text
        self._pause_s = pause_s

    async def stream(self) -> AsyncIterator[Chunk]:
        size = len(self._text) // PARTS + 1
        for start in range(0, len(self._text), size):
            await asyncio.sleep(self._pause_s)
            yield Chunk(self._text[start : start + size], 1)

    async def close(self) -> None:
        pass
