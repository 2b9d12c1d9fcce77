"""The addresses of the pages to which links lead: for a new password, and to verify an e-mail address."""

from __future__ import annotations

PATH = "/web/reset"
VERIFY_PATH = "/web/verify"


def link_address(base: str, token: str) -> str:
    """Return the link for a token. Browsers keep what follows `#` to themselves, so no server or proxy logs it."""
    return f"{base.rstrip('/')}{PATH}#{token}"
