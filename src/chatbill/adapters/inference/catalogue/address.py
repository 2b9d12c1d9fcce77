"""Check addresses of servers in catalogues and settings."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[\w.:%-]+")
_WORDS: Final = "must be the address of a server, as in http://host:8001/v1"


def checked_address(url: str) -> str:
    """Return the address unchanged if a server can have it. Raises `ValueError` that says what is wrong."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        # From the port, or from an IPv6 address whose brackets do not close or hold another text.
        raise ValueError(f"{_WORDS}; {str(error).rstrip('.').lower()}") from None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise ValueError(f"{_WORDS}; this has no such host")
    if port == 0:
        raise ValueError(f"{_WORDS}; no server has the port 0")
    return url
