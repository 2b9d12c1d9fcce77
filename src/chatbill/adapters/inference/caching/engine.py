"""Repeated prompts: an answer that can only come out the same is kept for a while and given again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from chatbill.application.ports.engine import (
    GREEDY_BELOW,
    Chunk,
    Engine,
    Generation,
    GenerationRequest,
    ModelState,
    ModelStatus,
)
from chatbill.domain.shared.ids import ModelId

_ANSWER_BYTES, _PIECE_BYTES = 800, 120
"""What Python takes for an answer and for each of its pieces, beside the texts; rather too much than too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole reply as it was written, with the counts it was charged by."""

    pieces: tuple[Chunk, ...]
    prompt_tokens: int
    completion_tokens: int | None
    cut_off: bool | None = None

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, about."""
        return _ANSWER_BYTES + sum(_PIECE_BYTES + sys.getsizeof(piece.text) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    size: int
    expires_at: float


class AnswerCache:
    """Answers by key, `max_bytes` of them at most, each for `ttl_s` seconds of `now`.

    Where room is needed the one that was wanted least lately goes first. Those whose time is over go at the next call.
    """

    def __init__(self, *, max_bytes: int, ttl_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._now = now
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        # All live equally long, so in the order in which they came is the order in which they go.
        self._by_age: OrderedDict[bytes, None] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Answer | None:
        """The answer, if it is still here."""
        self._forget_old()
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep it, unless it alone is too large."""
        self._forget_old()
        self._drop(key)
        size = answer.size
        if size > self.max_bytes:
            return
        while self.size + size > self.max_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[key] = _Kept(answer, size, self._now() + self._ttl_s)
        self._by_age[key] = None
        self.size += size

    def _forget_old(self) -> None:
        now = self._now()
        while self._by_age and self._kept[oldest := next(iter(self._by_age))].expires_at <= now:
            self._drop(oldest)

    def _drop(self, key: bytes) -> None:
        if kept := self._kept.pop(key, None):
            del self._by_age[key]
            self.size -= kept.size


class CachingEngine:
    """Another engine, asked only for what it has not written before.

    What is kept: whole replies that could not have come out otherwise, because the temperature is 0 or there is a
    seed. `temperatures` are the models' own, for requests that say nothing; a model that is not in it, or stands there
    with None, must be asked for 0. None is what a catalogue says that leaves it to the checkpoint: whether that is
    greedy is known only once it is loaded, and on another server never, so its answers are written anew.

    An answer is given again for the same request alone, by the same owner alone unless `shared`. `identities` say of
    each model what else its words depend on. Two equal requests at the same time are both computed.
    """

    def __init__(
        self,
        engine: Engine,
        cache: AnswerCache,
        *,
        temperatures: Mapping[ModelId, float | None],
        identities: Mapping[ModelId, str],
        shared: bool = False,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._temperatures = temperatures
        self._identities = identities
        self._shared = shared
        self.name = engine.name

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """As the engine says."""
        return self._engine.status()

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def prepare(self, request: GenerationRequest) -> Generation:
        """The kept answer, which needs no place in the queue; or a place, and the answer is kept once it is whole.

        A model that is not available answers nothing, so that the two can be told apart.
        """
        key = self._key(request)
        if key is None:
            return await self._engine.prepare(request)
        answer = self._cache.get(key)
        if answer is not None and self._is_ready(request.model):
            return _Repeated(answer)
        generation = await self._engine.prepare(request)
        return _Remembered(generation, self._cache.max_bytes, lambda whole: self._cache.put(key, whole))

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    def _is_ready(self, model: ModelId) -> bool:
        status = self._engine.status().get(model)
        return status is not None and status.state is ModelState.READY

    def _key(self, request: GenerationRequest) -> bytes | None:
        """What an answer is found by; None where it is not to be kept."""
        temperature = request.temperature
        if temperature is None:
            temperature = self._temperatures.get(request.model)
        greedy = temperature is not None and temperature < GREEDY_BELOW
        # What nobody owns is asked to find out whether the model works, which no kept answer can tell.
        if request.owner is None or not (greedy or request.seed is not None):
            return None
        owner = "" if self._shared else request.owner
        shape = [
            *(str(owner), request.model, self._identities.get(request.model, "")),
            *(request.max_tokens, temperature, request.top_p, request.seed, request.stop),
            [[turn.role.value, turn.text] for turn in request.turns],
        ]
        return hashlib.sha256(json.dumps(shape).encode()).digest()


class _Repeated:
    """A kept answer, piece by piece."""

    cached = True

    def __init__(self, answer: Answer) -> None:
        self.prompt_tokens = answer.prompt_tokens
        self.completion_tokens = answer.completion_tokens
        self.cut_off = answer.cut_off
        self._pieces = answer.pieces
        self._closed = False

    async def stream(self) -> AsyncIterator[Chunk]:
        """As it was written, but faster."""
        for piece in self._pieces:
            await asyncio.sleep(0)
            if self._closed:
                return
            yield piece

    async def close(self) -> None:
        """Nothing runs."""
        self._closed = True


class _Remembered:
    """A reply that is kept once it is whole."""

    cached = False

    def __init__(self, generation: Generation, max_bytes: int, keep: Callable[[Answer], None]) -> None:
        self._generation = generation
        self._max_bytes = max_bytes
        self._keep = keep
        self._closed = False

    @property
    def prompt_tokens(self) -> int:
        """As the engine counts."""
        return self._generation.prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """As the engine counts."""
        return self._generation.completion_tokens

    @property
    def cut_off(self) -> bool | None:
        """As the engine says."""
        return self._generation.cut_off

    async def stream(self) -> AsyncIterator[Chunk]:
        """As the engine writes; a reply that is too long to be kept is not collected."""
        pieces: list[Chunk] = []
        size = _ANSWER_BYTES
        async for piece in self._generation.stream():
            size += _PIECE_BYTES + sys.getsizeof(piece.text)
            if size <= self._max_bytes:
                pieces.append(piece)
            yield piece
        # Closed earlier, it only looks as if it were whole; and who is told to ask again is not to get nothing again.
        if not self._closed and size <= self._max_bytes and any(piece.text for piece in pieces):
            answer = Answer(
                pieces=tuple(pieces),
                prompt_tokens=self.prompt_tokens,
                completion_tokens=self.completion_tokens,
                cut_off=self.cut_off,
            )
            self._keep(answer)

    async def close(self) -> None:
        """Close it at the engine."""
        self._closed = True
        await self._generation.close()
