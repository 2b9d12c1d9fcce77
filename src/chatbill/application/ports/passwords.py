"""The passwords port: hashes that are slow to guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer to one check. `outdated` says that the hash is right but weaker than those made today."""

    ok: bool
    outdated: bool = False


class Passwords(Protocol):
    """Hash and check passwords away from the event loop, a bounded number at a time.

    Passwords that differ only in their Unicode spelling (NFKC) are the same.
    """

    async def hash(self, password: str) -> str:
        """Return a salted hash that names its own algorithm and parameters."""
        ...

    def is_common(self, password: str) -> bool:
        """Return True for a password that many people use."""
        ...

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Return whether the password matches the stored hash. None never matches, and takes as long."""
        ...
