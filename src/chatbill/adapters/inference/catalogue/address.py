"""Check addresses of servers in catalogues and settings."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[\w.:%-]+")
_VERSION: Final = re.compile(r"/v\d")
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


def address_advice(url: str) -> str:
    """Return words about an address without a version, such as `/v1`, in its path; "" for another one."""
    parts = urlsplit(url)
    if _VERSION.search(parts.path):
        return ""
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return f"The address {base} has no /v1. Most servers answer below it: try {base}/v1."
