"""Escapes texts that are shown exactly as they are."""

from __future__ import annotations

from html import escape


def escaped(text: str) -> str:
    """Return the text for HTML."""
    return escape(text).replace("\0", "\ufffd")


def literal(text: str) -> str:
    """Return an element that shows every character of the text, spaces and line breaks included."""
    return f'<div class="cb-said">{escaped(text)}</div>'
