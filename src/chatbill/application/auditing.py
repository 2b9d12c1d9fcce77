"""The audit of everything that a store keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chatbill.application.ports.repositories import BooksReader
from chatbill.domain.audit import Difference, Tally, audit


def audit_books(books: BooksReader, *, now: datetime, tally: Tally) -> Iterator[Difference]:
    """Every difference in the books of one snapshot, as it is found; `tally` is filled on the way."""
    return audit(
        books.wallets(),
        books.entries(),
        books.settlements(),
        books.unheld(),
        books.purchases(),
        books.key_uses(),
        now=now,
        tally=tally,
    )
