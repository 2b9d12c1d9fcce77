"""Checks of parameters that the API and the page share."""

from __future__ import annotations

from typing import Final

MAX_ID_CHARS: Final = 64
MAX_LINE_CHARS: Final = 1_024
"""The longest text that is looked up or hashed. The domain has the rules for names and passwords."""


def could_be_id(value: str) -> bool:
    """Return False for text that cannot be an id, so that the store is not asked for it."""
    return 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
