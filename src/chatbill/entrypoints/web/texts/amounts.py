"""Amounts as people read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web import language

Template = str | Callable[[Mapping[str, Param]], str]
"""A format string, or a function of the parameters where a plural or a choice of words depends on them."""


def credits_text(amount: Param) -> str:
    """Return an amount of credits, such as "1 credit" or "1,250 credits"."""
    count = int(amount or 0)
    return language.ngettext("{count} credit", "{count} credits", count).format(count=language.current().number(count))
