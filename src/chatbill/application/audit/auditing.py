"""The audit of everything that a store keeps."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TypeVar

from chatbill.application.ports.repositories.audit import AuditReader
from chatbill.domain.audit.proof import Difference, Tally, audit
from chatbill.domain.audit.rows import AuditInput

T = TypeVar("T")


def audit_store(reader: AuditReader, *, now: datetime, tally: Tally) -> Iterator[Difference]:
    """Yield every difference in the rows of one snapshot, as it is found, and fill `tally`.

    Closing the iterator early also closes the cursors of the database.
    """
    with ExitStack() as opened:

        def kept(rows: Generator[T, None, None]) -> Generator[T, None, None]:
            return opened.enter_context(closing(rows))

        yield from audit(
            AuditInput(
                wallets=kept(reader.wallets()),
                owners=kept(reader.owners()),
                entries=kept(reader.entries()),
                settlements=kept(reader.settlements()),
                unheld=kept(reader.unheld()),
                purchases=kept(reader.purchases()),
                recorded=kept(reader.recorded()),
                trail=reader.trail_count(),
                code_uses=kept(reader.code_uses()),
                key_uses=kept(reader.key_uses()),
                dangling=kept(reader.dangling()),
                missing_rules=kept(reader.missing_rules()),
            ),
            now=now,
            tally=tally,
        )
