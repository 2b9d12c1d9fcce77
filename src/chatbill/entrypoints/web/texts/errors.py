"""Templates for errors, by their code."""

from __future__ import annotations

ERRORS: dict[str, str] = {}
