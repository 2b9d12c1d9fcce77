"""Test helpers for applications that embed chatbill: a clock, ids and simple stand-ins for the ports."""

from chatbill.testing.environment import CountingIds, ManualClock
from chatbill.testing.fakes import FreeRateLimits, InstantEngine, PlainPasswords, PlainTokens

__all__ = ["CountingIds", "FreeRateLimits", "InstantEngine", "ManualClock", "PlainPasswords", "PlainTokens"]
