"""A cache that all processes share. The server decides what it forgets when its memory is full."""

from __future__ import annotations

from typing import Final

from chatbill.adapters.valkey.server import ServerAway, ValkeyServer

PREFIX: Final = b"chatbill:cache:"


class ValkeyCache:
    """Bytes by key on the server. While it is away, the cache is empty."""

    def __init__(self, server: ValkeyServer) -> None:
        self._server = server

    async def get(self, key: bytes) -> bytes | None:
        """Return what was put under the key; None if there is nothing."""
        try:
            value = await self._server.ask(lambda client: client.get(PREFIX + key))
        except ServerAway:
            return None
        return None if value is None else bytes(value)

    async def put(self, key: bytes, value: bytes, *, ttl_s: float) -> None:
        """Keep a value for so many seconds, unless the server is away or full."""
        try:
            await self._server.ask(lambda client: client.set(PREFIX + key, value, px=max(1, round(ttl_s * 1_000))))
        except ServerAway:
            return
