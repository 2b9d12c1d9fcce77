"""Templates for what is wrong with a field of a request."""

from __future__ import annotations

FIELDS: dict[str, str] = {}
