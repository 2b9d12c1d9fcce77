"""Escapes texts that are shown exactly as they are."""

from __future__ import annotations

from html import escape
from typing import Final

MARK: Final = "\u2063"
"""An invisible separator. The page's delimiters of formulas are made of it, so it marks no formula by itself."""


def escaped(text: str) -> str:
    """Return the text for HTML. It cannot begin a formula, because an element follows each mark."""
    return escape(text).replace("\0", "\ufffd").replace(MARK, f"{MARK}<wbr>")


def literal(text: str) -> str:
    """Return an element that shows every character of the text, spaces and line breaks included."""
    return f'<div class="cb-said">{escaped(text)}</div>'
