"""Amounts in words, as people read them."""

from __future__ import annotations


def credits_text(credits_count: int) -> str:
    """Such as "1 credit", "1,250 credits"."""
    return f"{credits_count:,} {'credit' if credits_count == 1 else 'credits'}"
