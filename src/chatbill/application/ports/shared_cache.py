"""The shared-cache port: bytes that processes keep for each other for a time, and that may be lost."""

from __future__ import annotations

from typing import Protocol


class SharedCache(Protocol):
    """Bytes by key. While it cannot be reached, it is empty. No method raises."""

    async def get(self, key: bytes) -> bytes | None:
        """Return what was put under the key; None if there is nothing."""
        ...

    async def put(self, key: bytes, value: bytes, *, ttl_s: float) -> None:
        """Keep a value for so many seconds, or for less."""
        ...
