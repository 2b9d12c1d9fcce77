"""Readers of every row that the audit compares."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from chatbill.domain.audit.rows import (
    CodeUsage,
    DanglingReference,
    KeyUsage,
    Ownership,
    Purchase,
    RecordedEntry,
    Settlement,
    TrailCount,
    UnreadableRow,
)
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import (
    InteractionId,
)


class AuditReader(Protocol):
    """Streams all rows that the audit needs, in the order that it needs; text sorts by code point.

    Close a stream that is left before its end. A row that makes no sense comes as `UnreadableRow`.
    """

    def wallets(self) -> Generator[Wallet | UnreadableRow, None, None]:
        """Return all wallets by id."""
        ...

    def owners(self) -> Generator[Ownership, None, None]:
        """Return the wallets of all users by wallet."""
        ...

    def entries(self) -> Generator[LedgerEntry | UnreadableRow, None, None]:
        """Return all entries by wallet and version."""
        ...

    def settlements(self) -> Generator[Settlement | UnreadableRow, None, None]:
        """Return all holds by wallet, each with its charges and its interaction."""
        ...

    def unheld(self) -> Generator[InteractionId, None, None]:
        """Return the interactions whose hold does not exist."""
        ...

    def purchases(self) -> Generator[Purchase | UnreadableRow, None, None]:
        """Return all payments, each with the entries that credited it to its own wallet."""
        ...

    def key_uses(self) -> Generator[KeyUsage | UnreadableRow, None, None]:
        """Return all API keys, each for all time and for each of its months."""
        ...

    def recorded(self) -> Generator[RecordedEntry | UnreadableRow, None, None]:
        """Return the entries that were made by hand or with a code since the oldest record, each with its record.

        After them come the records that should have an entry and have none. Every record is read for that.
        """
        ...

    def trail_count(self) -> TrailCount:
        """Return how many records the audit trail has, and how many it ever got."""
        ...

    def code_uses(self) -> Generator[CodeUsage, None, None]:
        """Return all codes, and those that are named by entries and do not exist."""
        ...

    def dangling(self) -> Generator[DanglingReference, None, None]:
        """Return rows that refer to missing rows, except interactions without a hold; see `unheld`."""
        ...

    def missing_rules(self) -> Generator[str, None, None]:
        """Return the rules that are missing from the database, such as "the trigger holds_stay"."""
        ...
