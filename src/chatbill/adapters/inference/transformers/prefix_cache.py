"""Keep what a model has read, so that the next turn of a conversation reads only what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from chatbill.domain.shared.ids import UserId

_OWNER_SHARE = 4
"""An owner with more than a fourth of the memory gives it up first when others need it."""

_COMPARED_AT_ONCE = 64


class KeysAndValues(Protocol):
    """Keys and values of a sequence of tokens."""

    @property
    def size_bytes(self) -> int:
        """Return the memory in use."""
        ...

    def reaches(self, length: int) -> bool:
        """Return whether all that a reply needs after the first `length` tokens is there."""
        ...


Kept = TypeVar("Kept", bound=KeysAndValues)


@dataclass(slots=True, eq=False)
class Prefix(Generic[Kept]):
    """Tokens that a model has read for `owner`, and their keys and values, which must not change any more."""

    owner: UserId
    tokens: Sequence[int]
    cache: Kept
    used_at: float


class PrefixCache(Generic[Kept]):
    """What one model has read, by owner and never given to another owner. Its methods may be called by any thread.

    It holds at most `max_bytes`, at first none. What was not used for `ttl_s` seconds is dropped. Where memory is
    short, the least recently used leaves first: of the owners that hold more than their share all but their latest,
    and after that of all owners.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._max_bytes = 0
        self._ttl_s = 0.0
        # The least recently used comes first.
        self._prefixes: list[Prefix[Kept]] = []

    @property
    def size_bytes(self) -> int:
        """Return the memory in use."""
        with self._lock:
            return _size(self._prefixes)

    def limit(self, max_bytes: int, ttl_s: float = 0.0) -> None:
        """Hold at most this much from now on, and drop what is more."""
        with self._lock:
            self._max_bytes, self._ttl_s = max_bytes, ttl_s
            self._make_room()

    def remove(self, cache: Kept) -> bool:
        """Keep this one no longer, because it is about to change; return whether it was kept."""
        with self._lock:
            before, self._prefixes = self._prefixes, [kept for kept in self._prefixes if kept.cache is not cache]
            return len(self._prefixes) < len(before)

    def clear(self) -> bool:
        """Drop everything; return whether there was anything."""
        with self._lock:
            had_any, self._prefixes = bool(self._prefixes), []
        return had_any

    def drop_expired(self) -> None:
        """Drop what was not used for too long."""
        with self._lock:
            self._drop_expired()

    def longest(self, owner: UserId | None, tokens: Sequence[int]) -> tuple[int, Kept | None]:
        """Return how many of these tokens, from the first on, were read for this owner, and what holds them."""
        if owner is None:
            return 0, None
        with self._lock:
            self._drop_expired()
            own = [(common_length(kept.tokens, tokens), kept) for kept in self._prefixes if kept.owner == owner]
            usable = [(length, kept) for length, kept in own if length and kept.cache.reaches(length)]
            if not usable:
                return 0, None
            length, best = max(usable, key=lambda one: one[0])
            best.used_at = self._clock()
            self._prefixes.remove(best)
            self._prefixes.append(best)
            return length, best.cache

    def keep(self, owner: UserId, tokens: Sequence[int], cache: Kept) -> None:
        """Keep what was read for this owner, in place of its own beginnings that can be had from it."""
        with self._lock:
            self._drop_expired()
            if not tokens or cache.size_bytes > self._max_bytes:
                return
            own = [(common_length(kept.tokens, tokens), kept) for kept in self._prefixes if kept.owner == owner]
            if any(length == len(tokens) and kept.cache.reaches(length) for length, kept in own):
                return
            beginnings = [kept for length, kept in own if length == len(kept.tokens)]
            # A sliding window cannot be moved back, so the longest beginning stays: a changed message continues it.
            longest = max(beginnings, key=lambda kept: len(kept.tokens), default=None)
            for kept in beginnings:
                if kept is not longest or cache.reaches(len(kept.tokens)):
                    self._prefixes.remove(kept)
            self._prefixes.append(Prefix(owner, tuple(tokens), cache, self._clock()))
            self._make_room()

    def _make_room(self) -> None:
        while self._prefixes and _size(self._prefixes) > self._max_bytes:
            self._prefixes.remove(self._next_to_leave())

    def _next_to_leave(self) -> Prefix[Kept]:
        sizes: dict[UserId, int] = {}
        latest: dict[UserId, Prefix[Kept]] = {}
        for kept in self._prefixes:
            sizes[kept.owner] = sizes.get(kept.owner, 0) + kept.cache.size_bytes
            latest[kept.owner] = kept
        share = self._max_bytes // _OWNER_SHARE
        over = (kept for kept in self._prefixes if sizes[kept.owner] > share and latest[kept.owner] is not kept)
        return next(over, self._prefixes[0])

    def _drop_expired(self) -> None:
        oldest = self._clock() - self._ttl_s
        self._prefixes = [kept for kept in self._prefixes if kept.used_at > oldest]


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    most = min(len(one), len(other))
    for start in range(0, most, _COMPARED_AT_ONCE):
        end = min(start + _COMPARED_AT_ONCE, most)
        if tuple(one[start:end]) != tuple(other[start:end]):
            return next(place for place in range(start, end) if one[place] != other[place])
    return most


def _size(prefixes: Iterable[Prefix[Kept]]) -> int:
    return sum(kept.cache.size_bytes for kept in prefixes)
