"""The store in memory, for embedding and for property-based tests; standard library only."""

from chatbill.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
