"""The form of a path below which the service is served."""

from __future__ import annotations

import re
from typing import Final

_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def checked_root_path(text: str) -> str:
    """Return the path with a slash at its beginning and none at its end; "" for the root. Raises `ValueError`."""
    path = text.rstrip("/")
    path = path if path.startswith("/") or not path else f"/{path}"
    if not _PATH.fullmatch(path):
        raise ValueError("must be a path of letters, digits and the signs . _ ~ -, as in /chatbill")
    return path
