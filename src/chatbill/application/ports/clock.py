"""Time and ids come from outside, so that every rule can be tested at any moment."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Returns the present time."""

    def __call__(self) -> datetime:
        """Return the present moment, with the UTC time zone, to the microsecond."""
        ...


class NewId(Protocol):
    """Makes new ids."""

    def __call__(self) -> str:
        """Return a new id of 1 to 64 characters; ids made later sort after ids made earlier."""
        ...
