"""The keys and values of one reply, in memory that grows with it."""

from __future__ import annotations

from typing import TypeAlias

import torch

KeysValues: TypeAlias = tuple[torch.Tensor, torch.Tensor]

_BLOCK_TOKENS = 64


class RowCache:
    """Keys and values of one reply, for at most `limit` tokens of prompt and reply together.

    Every reply has memory of its own, so it can join and leave a batch without anything being copied, and what it
    holds follows its own length. A step appends to each layer at position `length` and then, once it has worked in
    all of them, advances; one that broke half way has changed nothing that counts.
    """

    def __init__(self, *, layers: int, limit: int) -> None:
        self.length = 0
        self._limit = limit
        self._layers = [_Layer() for _ in range(layers)]

    def append(self, layer: int, keys: torch.Tensor, values: torch.Tensor, *, window: int | None) -> KeysValues:
        """Append keys and values of one layer (1, heads, tokens, size); return all that they may look at.

        Of a layer with a sliding `window` (in tokens) only what the window still reaches is kept.
        """
        return self._layers[layer].append(keys, values, at=self.length, window=window, limit=self._limit)

    def advance(self, tokens: int) -> None:
        """Count the tokens that were appended to all layers."""
        self.length += tokens

    def reaches(self, length: int) -> bool:
        """Return whether `fork` can continue after the first `length` tokens.

        That is everywhere but in a layer with a sliding window that has forgotten what the window would show there.
        """
        return length <= self.length and all(layer.reaches(length) for layer in self._layers)

    @property
    def forgets(self) -> bool:
        """Return whether a layer with a sliding window no longer holds its first tokens."""
        return not self.reaches(1)

    def resume(self, *, limit: int) -> RowCache:
        """Return this cache, for another reply of at most `limit` tokens that continues all of its tokens."""
        self._limit = limit
        return self

    def fork(self, length: int, *, limit: int) -> RowCache:
        """Return a cache that begins with the first `length` tokens of this one, which must never change again.

        The first step of the new one copies them to memory of its own; nothing is copied before.
        """
        fork = RowCache(layers=0, limit=limit)
        fork.length = length
        fork._layers = [layer.fork(length) for layer in self._layers]
        return fork

    @property
    def layers_in_use(self) -> int:
        """Return how many layers hold keys; fewer than the model has means that it keeps its state in another way."""
        return sum(layer.memory is not None for layer in self._layers)

    @property
    def size_bytes(self) -> int:
        """Return the memory in use."""
        return sum(part.nbytes for layer in self._layers for part in layer.memory or ())


class _Layer:
    """Keys and values of one layer, from position `first` on."""

    def __init__(self) -> None:
        self.memory: KeysValues | None = None
        self.first = 0
        self._window: int | None = None

    def reaches(self, length: int) -> bool:
        return self._window is None or self.first <= max(0, length - self._window + 1)

    def fork(self, length: int) -> _Layer:
        fork = _Layer()
        fork.first, fork._window = self.first, self._window
        if self.memory is not None:
            # Without room for another token, so the next one moves all of it.
            keys, values = self.memory
            fork.memory = keys[:, :, : length - self.first], values[:, :, : length - self.first]
        return fork

    def append(
        self, keys: torch.Tensor, values: torch.Tensor, *, at: int, window: int | None, limit: int
    ) -> KeysValues:
        tokens = keys.shape[2]
        self._window = window
        kept = at - self.first if window is None else min(at - self.first, window - 1)
        memory = self.memory
        if memory is None or at - self.first + tokens > memory[0].shape[2]:
            memory = self._move(keys, values, kept=kept, at=at, limit=limit)
        start, end = at - self.first, at - self.first + tokens
        memory[0][:, :, start:end] = keys
        memory[1][:, :, start:end] = values
        return memory[0][:, :, start - kept : end], memory[1][:, :, start - kept : end]

    def _move(self, keys: torch.Tensor, values: torch.Tensor, *, kept: int, at: int, limit: int) -> KeysValues:
        """Move the keys that are still used to new memory, with room for half as many more."""
        needed = kept + keys.shape[2]
        room = min(needed + needed // 2 + _BLOCK_TOKENS, limit - (at - kept))
        new_keys, new_values = (part.new_empty((*part.shape[:2], room, part.shape[3])) for part in (keys, values))
        if self.memory is not None:
            old = slice(at - self.first - kept, at - self.first)
            new_keys[:, :, :kept] = self.memory[0][:, :, old]
            new_values[:, :, :kept] = self.memory[1][:, :, old]
        self.memory, self.first = (new_keys, new_values), at - kept
        return self.memory
