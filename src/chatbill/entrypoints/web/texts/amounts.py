"""Amounts as people read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatbill.domain.shared.descriptions import Param

Template = str | Callable[[Mapping[str, Param]], str]
"""A format string, or a function of the parameters where a plural or a choice of words depends on them."""


def credits_text(amount: Param) -> str:
    """Return an amount of credits, such as "1 credit" or "1,250 credits"."""
    return f"{amount:,} {'credit' if amount == 1 else 'credits'}"
