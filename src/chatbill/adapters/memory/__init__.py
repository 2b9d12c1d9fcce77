"""Everything in memory: for embedding, for property tests, and for trying an idea; standard library only."""

from chatbill.adapters.memory.environment import CountingIds, ManualClock
from chatbill.adapters.memory.fakes import FreeRateLimits, InstantEngine, PlainPasswords, PlainTokens
from chatbill.adapters.memory.store import MemoryStore

__all__ = [
    "CountingIds",
    "FreeRateLimits",
    "InstantEngine",
    "ManualClock",
    "MemoryStore",
    "PlainPasswords",
    "PlainTokens",
]
