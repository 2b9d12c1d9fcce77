"""Tests for applications that embed chatbill: stand-ins for the ports, contracts for adapters, a state machine.

The clock, the ids and the stand-ins need nothing but Python. `store_contract`, `engine_contract`, `strategies` and
`billing_machine` need pytest and Hypothesis, and are imported from their modules.
"""

from chatbill.testing.environment import CountingIds, ManualClock
from chatbill.testing.fakes import (
    FreeRateLimits,
    InstantEngine,
    PlainOneTimeCodes,
    PlainPasswords,
    PlainSecrets,
    PlainTokens,
)

__all__ = [
    "CountingIds",
    "FreeRateLimits",
    "InstantEngine",
    "ManualClock",
    "PlainOneTimeCodes",
    "PlainPasswords",
    "PlainSecrets",
    "PlainTokens",
]
