"""The ledger: entries that are appended and never touched again."""

from __future__ import annotations

from functools import cache

from sqlalchemy import bindparam

from chatbill.adapters.persistence.repositories.periods import within
from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, limit
from chatbill.adapters.persistence.sql.tables import ledger_entries
from chatbill.application.ports.repositories.paging import Period
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.shared.ids import EntryId, WalletId

_APPEND = insert(ledger_entries)
_GET = Statement(all_of(ledger_entries, equals(ledger_entries.c.id)))


@cache
def _of_wallet(filters: frozenset[str]) -> Statement:
    """Entries of a wallet, newest first, by the filters that are named."""
    entries = ledger_entries.c
    query = all_of(ledger_entries, equals(entries.wallet_id))
    if "kind" in filters:
        query = query.where(equals(entries.kind))
    if "below_version" in filters:
        query = query.where(entries.wallet_version < bindparam("below_version"))
    query = within(query, entries.created_at, filters)
    return Statement(query.order_by(entries.wallet_version.desc()).limit(limit()))


class SqlLedger:
    """Entries by wallet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, entry: LedgerEntry) -> None:
        self._connection.put(
            _APPEND,
            wallet_id=entry.wallet_id,
            wallet_version=entry.wallet_version,
            id=entry.id,
            kind=entry.kind.value,
            # House accounts are enumerated, and a driver should see plain text.
            debit=str(entry.debit),
            credit=str(entry.credit),
            amount=entry.amount,
            balance_after=entry.balance_after,
            description=entry.description,
            created_at=entry.created_at,
            hold_id=entry.hold_id,
            interaction_id=entry.interaction_id,
            payment_id=entry.payment_id,
            author=entry.author,
        )

    def get(self, entry_id: EntryId) -> LedgerEntry | None:
        row = self._connection.one(_GET, id=entry_id)
        return None if row is None else entry_of(row)

    def of_wallet(
        self,
        wallet_id: WalletId,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        below_version: int | None = None,
        limit: int,
    ) -> list[LedgerEntry]:
        wanted = {
            "kind": kind and kind.value,
            "start": period.start,
            "end": period.end,
            "below_version": below_version,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self._connection.stream(_of_wallet(frozenset(given)), wallet_id=wallet_id, limit=limit, **given)
        return list(map(entry_of, rows))


def entry_of(row: Row) -> LedgerEntry:
    """The entry that a row of its table describes."""
    (
        wallet_id,
        wallet_version,
        id_,
        kind,
        debit,
        credit,
        amount,
        balance_after,
        description,
        created_at,
        hold_id,
        interaction_id,
        payment_id,
        author,
    ) = row
    return LedgerEntry(
        id=id_,
        kind=EntryKind(kind),
        debit=debit,
        credit=credit,
        amount=amount,
        wallet_id=wallet_id,
        wallet_version=wallet_version,
        balance_after=balance_after,
        description=description,
        created_at=created_at,
        hold_id=hold_id,
        interaction_id=interaction_id,
        payment_id=payment_id,
        author=author,
    )
