"""The repository of reports: raw rows as reports count them, and the roll-ups that are made from them.

A roll-up is the sum over a day (UTC) or a quarter of an hour, for one key of a series. A note is a text by kind and id,
in which the roll-up keeps what it has to remember.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.reports.finance import CreditMovement
from chatbill.domain.reports.usage import EndedInteraction
from chatbill.domain.shared.ids import UserId, WalletId


@dataclass(frozen=True, slots=True)
class RollUpRow:
    """The figures, as text, of one key of a series in the time that begins at `starts_at`."""

    series: str
    starts_at: datetime
    key: str
    figures: str


class ReportReader(Protocol):
    """Streams are closed by a caller that leaves them before their end."""

    def note(self, kind: str, id_: str) -> str | None: ...

    def ended(self, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        """Return the interactions that ended from `start` (included) to `end` (left out), by that time."""
        ...

    def ended_of(self, user_id: UserId, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        """Return the same of one user."""
        ...

    def movements(self, start: datetime, end: datetime) -> Generator[CreditMovement, None, None]:
        """Return the movements that were counted, from `start` (included) to `end` (left out), by time."""
        ...

    def rollups(self, series: str, start: datetime, end: datetime) -> Generator[RollUpRow, None, None]:
        """Return the roll-ups of a series that begin from `start` (included) to `end` (left out), by time and key."""
        ...

    def movements_of(self, wallet_id: WalletId) -> Generator[CreditMovement, None, None]:
        """Return the movements of a wallet that were counted, by version."""
        ...

    def entries(self, wallet_id: WalletId, *, above_version: int, limit: int) -> list[LedgerEntry]:
        """Return the entries of a wallet with a version over `above_version`, the oldest first."""
        ...

    def wallets(self, *, after: str, limit: int) -> list[WalletId]:
        """Return ids of wallets that sort after this text, in order."""
        ...

    def next_activity(self, start: datetime) -> datetime | None:
        """Return when the first interaction ended, or the first entry was made, from `start` on."""
        ...

    def count_users(self, before: datetime) -> int:
        """Return how many users were created before this moment."""
        ...

    def sum_of_holds(self) -> int:
        """Return the credits that all wallets have promised to running work now."""
        ...

    def next_rollup(self, series: str, start: datetime) -> datetime | None:
        """Return when the first roll-up of a series begins, from `start` on."""
        ...


class ReportRepository(ReportReader, Protocol):
    def lock_note(self, kind: str, id_: str, *, default: str) -> str:
        """Return a note, first made where there is none, and prevent changes by others until this transaction ends."""
        ...

    def put_note(self, kind: str, id_: str, body: str) -> None: ...
    def remove_note(self, kind: str, id_: str) -> None: ...
    def add_movement(self, movement: CreditMovement) -> None: ...
    def put_rollup(self, row: RollUpRow) -> None: ...

    def remove_rollups(self, series: str, start: datetime, end: datetime) -> None:
        """Delete the roll-ups of a series that begin from `start` (included) to `end` (left out)."""
        ...

    def clear(self) -> None:
        """Delete all roll-ups, movements and notes."""
        ...
