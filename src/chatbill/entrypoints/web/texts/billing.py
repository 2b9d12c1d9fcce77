"""Templates for ledger entries, holds and payments."""

from __future__ import annotations

BILLING: dict[str, str] = {}
