"""Split off the thoughts that a model writes into its reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from chatbill.adapters.inference.catalogue.model_spec import Thinking
from chatbill.application.ports.engine import (
    THINKING,
    Chunk,
    Engine,
    FreesMemory,
    Generation,
    GenerationRequest,
    ModelStatus,
)
from chatbill.application.ports.wrapped_generation import WrappedGeneration
from chatbill.domain.shared.ids import ModelId

_OPEN, _CLOSE = "<think>", "</think>"


class ThoughtSplitter:
    """Returns the text that follows the thoughts at the beginning of a reply, from text that may be cut anywhere.

    Thoughts are between `<think>` and `</think>`, in one block or several. Blanks before and after them belong to them.
    Later tags are text, as in a reply that explains them. With `Thinking.OPENED`, the reply begins inside a block.
    """

    def __init__(self, mode: Thinking) -> None:
        self._inside = self.has_thoughts = mode is Thinking.OPENED
        self._passes_on = False
        self._held = ""

    def push(self, text: str) -> str:
        """Add `text`, and return what can be shown. Sets `has_thoughts` when thoughts begin."""
        if self._passes_on:
            return text
        self._held += text
        while True:
            if self._inside:
                _, closed, rest = self._held.partition(_CLOSE)
                self._held = rest if closed else self._held[1 - len(_CLOSE) :]
                if not closed:
                    return ""
                self._inside = False
            begin = self._held.lstrip()
            if not begin.startswith(_OPEN):
                # Nothing is decided while it may be the beginning of a tag.
                return "" if _OPEN.startswith(begin) else self.finish()
            self._held = begin.removeprefix(_OPEN)
            self._inside = self.has_thoughts = True

    def finish(self) -> str:
        """Return the text that was held back, when no text follows, or when no thoughts can follow."""
        held, self._held = self._held, ""
        self._passes_on = True
        if self._inside:
            return ""
        return held.lstrip() if self.has_thoughts else held


class ThinkingEngine:
    """Another engine whose `models` write thoughts into their replies; these are announced and not shown."""

    def __init__(self, engine: Engine, models: Mapping[ModelId, Thinking]) -> None:
        self._engine = engine
        self._models = models
        self.name = engine.name

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return what the engine says."""
        return self._engine.status()

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return the engine's generation, without the thoughts in its text."""
        generation = await self._engine.prepare(request)
        mode = self._models.get(request.model)
        return _SplitGeneration(generation, mode) if mode else generation

    async def free_memory(self) -> None:
        """Let the engine free its memory, if it can."""
        if isinstance(self._engine, FreesMemory):
            await self._engine.free_memory()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class _SplitGeneration(WrappedGeneration):
    """A reply without its thoughts, whose tokens come with the next text."""

    def __init__(self, generation: Generation, mode: Thinking) -> None:
        super().__init__(generation)
        self._splitter = ThoughtSplitter(mode)

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the engine's chunks without thoughts."""
        tokens, announced = 0, False
        async for chunk in self._generation.stream():
            tokens += chunk.tokens
            text = self._splitter.push(chunk.text)
            if not announced and (chunk == THINKING or self._splitter.has_thoughts):
                announced = True
                yield THINKING
            if text:
                yield Chunk(text, tokens)
                tokens = 0
        if (rest := self._splitter.finish()) or tokens:
            yield Chunk(rest, tokens)
