"""A trial write that shows whether the store keeps what is written."""

from __future__ import annotations

from typing import Protocol


class WriteChecks(Protocol):
    def write(self, check_id: str) -> None:
        """Write about as much as a charge and undo it, so that only the commit matters.

        Raises `StoreUnavailable` where a process that opens the store anew would not find what is kept now.
        """
        ...
