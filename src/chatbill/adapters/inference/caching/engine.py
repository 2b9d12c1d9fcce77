"""Caches replies that a repeated request would only compute again, word for word."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from chatbill.application.ports.engine import (
    GREEDY_BELOW,
    Chunk,
    Engine,
    FreesMemory,
    Generation,
    GenerationRequest,
    ModelState,
    ModelStatus,
)
from chatbill.application.ports.shared_cache import SharedCache
from chatbill.application.ports.wrapped_generation import WrappedGeneration
from chatbill.domain.shared.ids import ModelId

_REPLY_BYTES, _CHUNK_BYTES = 800, 120
"""Upper estimates of the memory of a reply and of each of its chunks, without their texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedReply:
    """A complete reply as it was written, with the token counts by which it was charged."""

    chunks: tuple[Chunk, ...]
    prompt_tokens: int
    completion_tokens: int | None
    cut_off: bool | None = None
    dropped_turns: int = 0

    @property
    def size(self) -> int:
        """Return an upper estimate of its memory in bytes."""
        return _REPLY_BYTES + sum(_CHUNK_BYTES + sys.getsizeof(chunk.text) for chunk in self.chunks)

    def dumps(self) -> bytes:
        """Return the reply as JSON, for other processes."""
        figures = (self.prompt_tokens, self.completion_tokens, self.cut_off, self.dropped_turns)
        return json.dumps([[[chunk.text, chunk.tokens] for chunk in self.chunks], *figures]).encode()

    @classmethod
    def loads(cls, value: bytes) -> CachedReply | None:
        """Return the reply from the JSON of `dumps`; None for another format, as another version may write."""
        try:
            chunks, prompt_tokens, completion_tokens, cut_off, dropped_turns = json.loads(value)
            return cls(
                chunks=tuple(Chunk(text, tokens) for text, tokens in chunks),
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                cut_off=cut_off,
                dropped_turns=dropped_turns,
            )
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class _Entry:
    reply: CachedReply
    size: int
    expires_at: float


class ReplyCache:
    """Keeps replies by key: at most `max_bytes` together, each for `ttl_s` seconds by the clock `now`.

    The least recently used reply is evicted first. Expired replies are evicted by the next call.
    """

    def __init__(self, *, max_bytes: int, ttl_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self.ttl_s = ttl_s
        self._now = now
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        # All replies live equally long, so they expire in the order of their insertion.
        self._by_age: OrderedDict[bytes, None] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> CachedReply | None:
        """Return the reply; None if it was not cached, has expired, or was evicted."""
        self._forget_old()
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.reply

    def put(self, key: bytes, reply: CachedReply) -> None:
        """Cache the reply, unless it alone is too large."""
        self._forget_old()
        self._drop(key)
        size = reply.size
        if size > self.max_bytes:
            return
        while self.size + size > self.max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = _Entry(reply, size, self._now() + self.ttl_s)
        self._by_age[key] = None
        self.size += size

    def _forget_old(self) -> None:
        now = self._now()
        while self._by_age and self._entries[oldest := next(iter(self._by_age))].expires_at <= now:
            self._drop(oldest)

    def _drop(self, key: bytes) -> None:
        if entry := self._entries.pop(key, None):
            del self._by_age[key]
            self.size -= entry.size


class CachingEngine:
    """Puts a cache of replies in front of another engine.

    It caches complete replies that are always the same, because the temperature is 0 or the request has a seed.
    `temperatures` are the defaults of the models, for requests without a temperature. If the default of a model is
    missing or None, as when the catalogue leaves it to the checkpoint, a request without a temperature needs a seed.

    A reply is returned for an equal request of the same owner, or of any owner if `shared`. `identities` hold, for each
    model, what else its replies depend on. Two equal requests at the same time are both computed. `others` is a second
    cache, which processes share.
    """

    def __init__(
        self,
        engine: Engine,
        cache: ReplyCache,
        *,
        temperatures: Mapping[ModelId, float | None],
        identities: Mapping[ModelId, str],
        shared: bool = False,
        others: SharedCache | None = None,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._temperatures = temperatures
        self._identities = identities
        self._shared = shared
        self._others = others
        self.name = engine.name

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the status of the models, as the engine gives it."""
        return self._engine.status()

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return the cached reply, which needs no place in the queue; or a generation that is cached once complete.

        Cached replies are returned only while the model is ready. Raises what the engine raises.
        """
        key = self._key(request)
        if key is None:
            return await self._engine.prepare(request)
        if self._is_ready(request.model) and (reply := await self._get(key)) is not None:
            return _CachedGeneration(reply)
        generation = await self._engine.prepare(request)
        return _RecordedGeneration(generation, self._cache.max_bytes, partial(self._put, key))

    async def free_memory(self) -> None:
        """Let the engine free its memory, if it can."""
        if isinstance(self._engine, FreesMemory):
            await self._engine.free_memory()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def _get(self, key: bytes) -> CachedReply | None:
        if (reply := self._cache.get(key)) is not None or self._others is None:
            return reply
        # It is not put into this process's cache, where it would be kept for `ttl_s` once more.
        value = await self._others.get(key)
        return None if value is None else CachedReply.loads(value)

    async def _put(self, key: bytes, reply: CachedReply) -> None:
        self._cache.put(key, reply)
        if self._others is not None:
            await self._others.put(key, reply.dumps(), ttl_s=self._cache.ttl_s)

    def _is_ready(self, model: ModelId) -> bool:
        status = self._engine.status().get(model)
        return status is not None and status.state is ModelState.READY

    def _key(self, request: GenerationRequest) -> bytes | None:
        """Return the key of the reply; None where it must not be cached."""
        temperature = request.temperature
        if temperature is None:
            temperature = self._temperatures.get(request.model)
        greedy = temperature is not None and temperature < GREEDY_BELOW
        # A request without an owner is a probe: it shows whether the model works, which a cached reply cannot.
        if request.owner is None or request.temporary or not (greedy or request.seed is not None):
            return None
        owner = "" if self._shared else request.owner
        shape = [
            *(str(owner), request.model, self._identities.get(request.model, "")),
            *(request.max_tokens, request.least_tokens, request.trim),
            *(temperature, request.top_p, request.seed, request.stop),
            [[turn.role.value, turn.text] for turn in request.turns],
        ]
        return hashlib.sha256(json.dumps(shape).encode()).digest()


class _CachedGeneration:
    """Gives a cached reply chunk by chunk."""

    cached = True

    def __init__(self, reply: CachedReply) -> None:
        self.prompt_tokens = reply.prompt_tokens
        self.completion_tokens = reply.completion_tokens
        self.cut_off = reply.cut_off
        self.filtered = False
        self.dropped_turns = reply.dropped_turns
        self._chunks = reply.chunks
        self._closed = False

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the chunks without the waits between them."""
        for chunk in self._chunks:
            await asyncio.sleep(0)
            if self._closed:
                return
            yield chunk

    async def close(self) -> None:
        """End the stream."""
        self._closed = True


class _RecordedGeneration(WrappedGeneration):
    """Passes on a reply, and caches it once it is complete."""

    def __init__(self, generation: Generation, max_bytes: int, keep: Callable[[CachedReply], Awaitable[None]]) -> None:
        super().__init__(generation)
        self._max_bytes = max_bytes
        self._keep = keep
        self._closed = False

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the engine's chunks; a reply that is too large for the cache is not collected."""
        chunks: list[Chunk] = []
        size = _REPLY_BYTES
        async for chunk in self._generation.stream():
            size += _CHUNK_BYTES + sys.getsizeof(chunk.text)
            if size <= self._max_bytes:
                chunks.append(chunk)
            yield chunk
        # A generation that was closed early is incomplete, and a repeated request must not get an empty reply again.
        is_whole = not (self._closed or self.filtered)
        if is_whole and size <= self._max_bytes and any(chunk.text for chunk in chunks):
            reply = CachedReply(
                chunks=tuple(chunks),
                prompt_tokens=self.prompt_tokens,
                completion_tokens=self.completion_tokens,
                cut_off=self.cut_off,
                dropped_turns=self.dropped_turns,
            )
            await self._keep(reply)

    async def close(self) -> None:
        """Close the engine's generation."""
        self._closed = True
        await super().close()
