"""List the ledger: the entries of all wallets behind the figures of a report, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatbill.application.ports.repositories.ledger import LedgerFilter
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
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.subjects import Owner
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class OwnedEntry:
    """An entry, and the owner of its wallet."""

    entry: LedgerEntry
    owner: Owner | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLedger:
    """List entries in pages. Raises `Forbidden`, `NotFound` for an unknown user, `InvalidRequest`."""

    store: Store

    async def __call__(
        self,
        principal: Principal,
        filters: LedgerFilter,
        *,
        user_id: UserId | None = None,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> Page[OwnedEntry]:
        """Return one page of the entries that are selected, and of the wallet of this user, if one is named."""
        require_permission(principal, Permission.READ_MONEY)
        limit, after = checked_limit(limit), decode_position(cursor)

        def query(snapshot: Snapshot) -> list[OwnedEntry]:
            chosen = filters
            if user_id is not None:
                user = snapshot.users.get(user_id)
                if user is None:
                    raise NotFound("user")
                chosen = replace(filters, wallet_id=user.wallet_id)
            found = snapshot.ledger.newest(chosen, after=after, limit=limit + 1)
            owners = {wallet_id: snapshot.wallets.get(wallet_id) for wallet_id in {each.wallet_id for each in found}}
            return [OwnedEntry(each, wallet.owner if (wallet := owners[each.wallet_id]) else None) for each in found]

        rows = await self.store.read(query)
        return page_of(rows, limit, lambda each: encode_position(each.entry.created_at, each.entry.id))
