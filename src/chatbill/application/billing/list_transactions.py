"""List transactions: a person's ledger entries, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.repositories.paging import Period
from chatbill.application.ports.store import Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_version,
    encode_version,
    page_of,
)
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTransactions:
    """List the entries of the principal's wallet, in pages. Raises `InvalidRequest` for a bad limit or cursor."""

    store: Store

    async def __call__(
        self,
        principal: Principal,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> Page[LedgerEntry]:
        """Return one page of entries."""
        limit, below = checked_limit(limit), decode_version(cursor)
        rows = await self.store.read(
            lambda snapshot: snapshot.ledger.of_wallet(
                principal.wallet_id, kind=kind, period=period, below_version=below, limit=limit + 1
            )
        )
        return page_of(rows, limit, lambda entry: encode_version(entry.wallet_version))
