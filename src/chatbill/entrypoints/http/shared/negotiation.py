"""Content negotiation by the header `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

JSON = "application/json"


def prefers(media_type: str, accept: str) -> bool:
    """Return True if the `Accept` header names this type, with at least the weight that it gives to JSON.

    JSON is the default: `*/*` and no header at all mean JSON.
    """
    weights = dict(map(_weighted, accept.lower().split(",")))
    return weights.get(media_type, 0.0) > 0 and weights[media_type] >= weights.get(JSON, 0.0)


def _weighted(item: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in item.split(";"))
    weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return media_type, float(weight)
    except ValueError:
        return media_type, 0.0
