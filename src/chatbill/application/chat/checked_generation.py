"""Check what an engine writes against its port, so that a broken engine fails its reply and not the accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator

from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest
from chatbill.application.ports.wrapped_generation import WrappedGeneration
from chatbill.domain.shared.errors import GenerationFailed


class EngineContractViolation(Exception):
    """Raised when an engine breaks the rules of its port; the text names the engine and is for the log."""


class CheckedGeneration(WrappedGeneration):
    """Pass a generation on, and raise `GenerationFailed` from its stream where the engine breaks its port.

    Checked after each chunk and at the end: counts are whole numbers from 0; a chunk is text with a count; the chunks,
    and `completion_tokens`, have at most `max_tokens` tokens; `prompt_tokens` stays between 0 and its first
    value; `completion_tokens` does not shrink once it is told. What was checked last is what counts.
    """

    def __init__(self, generation: Generation, request: GenerationRequest, *, engine: str) -> None:
        super().__init__(generation)
        self._max_tokens = request.max_tokens
        self._engine = engine
        # A first count that is none holds nothing, and fails the reply at its beginning.
        first = generation.prompt_tokens
        self._max_prompt_tokens = self._prompt_tokens = first if _is_count(first) else 0
        self._completion_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """Return the engine's count as it was checked last."""
        return self._prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """Return the engine's count as it was checked last; None while the engine has told none."""
        return self._completion_tokens

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the engine's chunks; raise `GenerationFailed` instead of passing on one that breaks the port."""
        written = 0
        self._check_counts()
        async for chunk in self._generation.stream():
            if not _is_text(chunk):
                raise self._failed(f"wrote a chunk that is not text: {type(chunk).__name__}")
            if not _is_count(chunk.tokens):
                raise self._failed(f"wrote a chunk of {chunk.tokens!r} tokens")
            written += chunk.tokens
            if written > self._max_tokens:
                raise self._failed(f"wrote {written} tokens of at most {self._max_tokens}")
            self._check_counts()
            yield chunk
        self._check_counts()

    def _check_counts(self) -> None:
        prompt, completion = self._generation.prompt_tokens, self._generation.completion_tokens
        if not _is_count(prompt) or prompt > self._max_prompt_tokens:
            raise self._failed(f"counted {prompt!r} prompt tokens of at most {self._max_prompt_tokens}")
        if completion is not None and not (_is_count(completion) and completion <= self._max_tokens):
            raise self._failed(f"counted {completion!r} completion tokens of at most {self._max_tokens}")
        if (completion or 0) < (self._completion_tokens or 0):
            raise self._failed(f"counted {completion} completion tokens after {self._completion_tokens}")
        self._prompt_tokens, self._completion_tokens = prompt, completion

    def _failed(self, fault: str) -> GenerationFailed:
        error = GenerationFailed()
        error.__cause__ = EngineContractViolation(f"the engine {self._engine} {fault}")
        return error


def _is_count(number: object) -> bool:
    return type(number) is int and number >= 0


def _is_text(chunk: object) -> bool:
    return isinstance(chunk, Chunk) and isinstance(chunk.text, str)
