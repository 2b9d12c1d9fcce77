"""A generation that is another one, apart from what a subclass changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from chatbill.application.ports.engine import Chunk, Generation


class WrappedGeneration:
    """Another generation; a subclass changes its stream, or more of it."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    @property
    def prompt_tokens(self) -> int:
        """Return the engine's count."""
        return self._generation.prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """Return the engine's count."""
        return self._generation.completion_tokens

    @property
    def cut_off(self) -> bool | None:
        """Return what the engine says."""
        return self._generation.cut_off

    @property
    def filtered(self) -> bool:
        """Return what the engine says."""
        return self._generation.filtered

    @property
    def dropped_turns(self) -> int:
        """Return what the engine says."""
        return self._generation.dropped_turns

    @property
    def cached(self) -> bool:
        """Return what the engine says."""
        return self._generation.cached

    def stream(self) -> AsyncIterator[Chunk]:
        """Yield the engine's chunks."""
        return self._generation.stream()

    async def close(self) -> None:
        """Close the engine's generation."""
        await self._generation.close()
