"""The backups port: makes copies of the database, and knows when the last good one was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.domain.shared.errors import ChatbillError


class BackupFailed(ChatbillError):
    """There is no good backup, or none was restored; the message says why and what to do."""

    code = "backup_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a copy of a database holds. `rows` counts the rows of each table.

    `database` is `sqlite` or `postgresql`, `head` the id of the newest ledger entry, None without entries. `doubts` are
    the first differences of its audit.
    """

    database: str
    revision: str
    rows: Mapping[str, int]
    head: str | None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LastBackup:
    """When the last complete backup was made; None if there is none."""

    made_at: datetime | None


class Backups(Protocol):
    """Makes backups of the database at a place that the operator has chosen."""

    async def make(self) -> None:
        """Make a backup and remove those that are no longer kept. Raises `BackupFailed`. Cancelling it ends it."""
        ...

    def newest(self) -> LastBackup | None:
        """Return the last complete backup as far as it is known; None before the place has answered.

        It may ask the place, so it is called from a thread.
        """
        ...
