"""Templates for why a model cannot answer."""

from __future__ import annotations

MODELS: dict[str, str] = {}
