"""The manifest of a backup: a small JSON file beside the copy. A copy without one is not complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chatbill.application.ports.backups import BackupFailed

SUFFIX: Final = ".json"
MAX_BYTES: Final = 65_536
_FORMAT: Final = 1
_MOMENT: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a backup. `size` and `sha256` are of the stored file, `rows` counts those of each table.

    `head` is the id of the newest ledger entry, None without entries. `doubts` are the first differences of its audit.
    """

    name: str
    file: str
    made_at: datetime
    database: str
    version: str
    revision: str
    rows: Mapping[str, int]
    head: str | None
    size: int
    sha256: str
    encrypted: bool
    doubts: tuple[str, ...] = ()

    def dumps(self) -> bytes:
        """Return the manifest as JSON."""
        values = {"format": _FORMAT, **asdict(self), "made_at": self.made_at.isoformat()}
        return json.dumps(values, indent=1).encode()

    @classmethod
    def loads(cls, name: str, text: bytes) -> Manifest:
        """Return the manifest from JSON. Raises `BackupFailed` for anything else."""
        try:
            values: dict[str, Any] = json.loads(text)
            is_known = values.pop("format") == _FORMAT and values["name"] == name and "/" not in values["file"]
            made_at, doubts = datetime.fromisoformat(values["made_at"]), tuple(values["doubts"])
            manifest = cls(**{**values, "made_at": made_at, "doubts": doubts})
        except (ValueError, KeyError, TypeError, AttributeError):
            is_known, manifest = False, None
        if manifest is None or not is_known:
            raise BackupFailed(f"The manifest {name}{SUFFIX} cannot be read. Is it of a newer chatbill?")
        return manifest


def name_of(made_at: datetime, unique: str) -> str:
    """Return the name of a backup, which begins with its moment, so that names sort by it."""
    return f"chatbill-{made_at.astimezone(UTC):{_MOMENT}}-{unique}"


def moment_of(name: str) -> datetime | None:
    """Return the moment in a name of `name_of`; None for any other name."""
    parts = name.split("-")
    try:
        return datetime.strptime(parts[1], _MOMENT).replace(tzinfo=UTC) if parts[0] == "chatbill" else None
    except (ValueError, IndexError):
        return None
