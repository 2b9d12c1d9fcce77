"""Check addresses of servers in catalogues and settings."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[\w.:%-]+")
_VERSION: Final = re.compile(r"/v\d")
_RULE: Final = "must be the address of a server, as in http://host:8001/v1"


def checked_address(url: str) -> str:
    """Return the address unchanged if it is valid. Raises `ValueError` with the reason if it is not."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        # The port is not a number, or the brackets of an IPv6 address are not valid.
        raise ValueError(f"{_RULE}; {str(error).rstrip('.').lower()}") from None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise ValueError(f"{_RULE}; the scheme or the host is not valid")
    if port == 0:
        raise ValueError(f"{_RULE}; the port must not be 0")
    return url


def address_advice(url: str) -> str:
    """Return a hint for the operator if the path of an address has no version such as `/v1`; "" if it has one."""
    parts = urlsplit(url)
    if _VERSION.search(parts.path):
        return ""
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return f"The path of {base} has no version. Most servers expect requests below /v1: try {base}/v1."
