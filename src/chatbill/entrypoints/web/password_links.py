"""The address of the page on which a person sets a new password."""

from __future__ import annotations

PATH = "/web/reset"


def link_address(base: str, token: str) -> str:
    """Return the link for a token. Browsers keep what follows `#` to themselves, so no server or proxy logs it."""
    return f"{base.rstrip('/')}{PATH}#{token}"
