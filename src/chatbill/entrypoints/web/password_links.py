"""Defines the paths of the pages where a person sets a new password, or verifies an e-mail address, by a link."""

from __future__ import annotations

PATH = "/web/reset"
VERIFY_PATH = "/web/verify"


def link_address(base: str, token: str) -> str:
    """Return the link with which a person sets a new password.

    `base` is the address of the service, such as `https://chat.example.org`. The token follows `#`. Browsers do not
    send that part, so no server or proxy logs it.
    """
    return f"{base.rstrip('/')}{PATH}#{token}"
