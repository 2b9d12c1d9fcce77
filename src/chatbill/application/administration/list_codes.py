"""List codes that redeem credits, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.codes import RedeemCode


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """A code, and how often it was redeemed."""

    code: RedeemCode
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCodes:
    """List codes in pages. Raises `Forbidden`, and `InvalidRequest` for a limit or a cursor that is not valid."""

    store: Store

    async def __call__(
        self, principal: Principal, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[CodeRecord]:
        """Return one page of all codes, also of those that expired or were withdrawn."""
        require_permission(principal, Permission.READ_MONEY)
        limit, after = checked_limit(limit), decode_position(cursor)

        def query(snapshot: Snapshot) -> list[CodeRecord]:
            codes = snapshot.codes.newest(after=after, limit=limit + 1)
            used = snapshot.codes.used([code.id for code in codes])
            return [CodeRecord(code, used.get(code.id, 0)) for code in codes]

        records = await self.store.read(query)
        return page_of(records, limit, lambda record: encode_position(record.code.created_at, record.code.id))
