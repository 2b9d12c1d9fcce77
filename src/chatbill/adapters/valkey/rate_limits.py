"""Rate limits that all processes count together, by one script on the server for each call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from chatbill.adapters.valkey.server import ServerAway, ValkeyServer
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.domain.shared.errors import RateLimited

SCRIPT: Final = """
local window, limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[5])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) < now - window do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
end
local room = limit - redis.call('LLEN', KEYS[1])
if ARGV[4] == 'add' then cost = math.max(0, math.min(cost, room)) end
if cost > room then return oldest + window - now end
if ARGV[4] ~= 'check' then
    for _ = 1, cost do redis.call('LPUSH', KEYS[1], string.format('%d', now)) end
    redis.call('PEXPIRE', KEYS[1], window + 1000)
end
return -1
"""
"""Keeps the times of the hits of one key, newest first, in milliseconds of the server's clock.

Arguments: the window in milliseconds, the limit, how many to count, `hit`, `check` or `add`, and a time for tests.
Returns -1, or the milliseconds after which the oldest hit leaves the window.
"""


class ValkeyRateLimits:
    """Allows at most `times` hits within any `window_s` seconds, counted for all processes.

    While the server is away, `own` counts in each process. `now` replaces the server's clock, in seconds.
    """

    def __init__(self, server: ValkeyServer, own: RateLimits, *, now: Callable[[], float] | None = None) -> None:
        self._server = server
        self._own = own
        self._now = now
        self._script = server.client.register_script(SCRIPT)

    async def hit(self, limit: Limit, key: str) -> None:
        """Count one more, or raise `RateLimited`; a refused hit is not counted."""
        try:
            wait_ms = await self._run(limit, key, 1, "hit")
        except ServerAway:
            await self._own.hit(limit, key)
        else:
            _refuse(limit, wait_ms)

    async def check(self, limit: Limit, key: str) -> None:
        """Raise `RateLimited` if the limit is reached; nothing is counted."""
        try:
            wait_ms = await self._run(limit, key, 1, "check")
        except ServerAway:
            await self._own.check(limit, key)
        else:
            _refuse(limit, wait_ms)

    async def add(self, limit: Limit, key: str, times: int = 1) -> None:
        """Count actions that have happened already, up to the limit."""
        try:
            await self._run(limit, key, times, "add")
        except ServerAway:
            await self._own.add(limit, key, times)

    async def forget(self, limit: Limit, key: str) -> None:
        """Delete all counted hits of this key, also those that were counted here."""
        await self._own.forget(limit, key)
        if limit.times > 0:
            try:
                await self._server.ask(lambda client: client.delete(_name(limit, key)))
            except ServerAway:
                return

    async def _run(self, limit: Limit, key: str, times: int, what: str) -> int:
        if limit.times <= 0 or times <= 0:
            return -1
        now = "" if self._now is None else round(self._now() * 1_000)
        arguments: list[str | float] = [limit.window_s * 1_000, limit.times, times, what, now]
        return int(await self._server.ask(lambda _: self._script(keys=[_name(limit, key)], args=arguments)))


def _refuse(limit: Limit, wait_ms: int) -> None:
    if wait_ms >= 0:
        # A hit exactly one window old still counts, so the wait ends in the second after.
        raise RateLimited(limit.reason, retry_after_s=wait_ms // 1_000 + 1)


def _name(limit: Limit, key: str) -> str:
    # A digest has a fixed length and keeps names and addresses out of the server.
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"chatbill:limit:{limit.name}:{limit.window_s}:{digest}"
