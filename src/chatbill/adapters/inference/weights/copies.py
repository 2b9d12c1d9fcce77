"""Name the int8 copy of a model, so that a copy whose source has changed is never used."""

from __future__ import annotations

import hashlib
from pathlib import Path

_LAYOUT = 1
"""Part of each name; a change in how copies are made needs another number."""


def int8_copy(root: Path, source: Path) -> Path:
    """Return the folder in `root` for the int8 copy of `source` as it is now."""
    files = sorted((*source.glob("*.safetensors"), *source.glob("*.json")))
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return root / f"{_prefix(source)}{_digest(repr((_LAYOUT, stats)))}.int8"


def outdated_copies(copy: Path, source: Path) -> list[Path]:
    """Return the other copies of the same source."""
    return [other for other in copy.parent.glob(f"{_prefix(source)}*.int8") if other != copy]


def _prefix(source: Path) -> str:
    return f"{source.name}-{_digest(str(source.resolve()))}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
