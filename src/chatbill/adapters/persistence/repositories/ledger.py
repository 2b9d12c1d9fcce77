"""The ledger: entries that are appended and never touched again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from sqlalchemy import bindparam, exists, literal_column

from chatbill.adapters.persistence.mapping import Mapping, Part, described, unchanged
from chatbill.adapters.persistence.repositories.periods import within
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Among, Statement, all_of, equals, limit, past
from chatbill.adapters.persistence.sql.tables import interactions, ledger_entries
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.billing.ledger import Cause, EntryKind, LedgerEntry
from chatbill.domain.billing.subjects import INTERACTION, PAYMENT, Subject
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import EntryId, HoldId, UserId, WalletId

SUBJECT_COLUMNS = ("interaction_id", "payment_id", "subject_kind", "subject_id")
_CAUSE = ("description", "hold_id", "author", *SUBJECT_COLUMNS)


def _cause(
    description: str,
    hold_id: HoldId | None,
    author: UserId | None,
    interaction_id: str | None,
    payment_id: str | None,
    kind: str | None,
    subject_id: str | None,
) -> Cause:
    subject = subject_of(interaction_id, payment_id, kind, subject_id)
    return Cause(description=described(description), subject=subject, hold_id=hold_id, author=author)


def subject_of(
    interaction_id: str | None, payment_id: str | None, kind: str | None, subject_id: str | None
) -> Subject | None:
    """Return what an entry is for: at most one of these, of which two have columns of their own."""
    if (interaction_id is not None) + (payment_id is not None) + (kind is not None) > 1:
        raise InvariantViolation(f"{interaction_id}, {payment_id} and {kind} {subject_id} are not one subject")
    if interaction_id is not None:
        return Subject(INTERACTION, interaction_id)
    if payment_id is not None:
        return Subject(PAYMENT, payment_id)
    return None if kind is None or subject_id is None else Subject(kind, subject_id)


def _split(cause: Cause) -> tuple[str | None, ...]:
    kind, id_ = (cause.subject.kind, cause.subject.id) if cause.subject else (None, None)
    of = {INTERACTION: (id_, None, None, None), PAYMENT: (None, id_, None, None)}.get(kind or "")
    return (cause.description.dumps(), cause.hold_id, cause.author, *(of or (None, None, kind, id_)))


ENTRIES = Mapping(
    ledger_entries,
    LedgerEntry,
    Part("cause", _CAUSE, _cause, _split),
    # House accounts are enumerated, and a driver should see plain text.
    *(Part(side, (side,), unchanged, paths=(".__str__()",)) for side in ("debit", "credit")),
)
_GET = Statement(all_of(ledger_entries, equals(ledger_entries.c.id)))
# The kind is written out, so that the index of refunds serves.
_REFUND = ledger_entries.c.kind == literal_column("'refund'")
_REFUNDS_OF = Statement(all_of(ledger_entries, Among(ledger_entries.c.hold_id), _REFUND))


@cache
def _of_wallet(filters: frozenset[str]) -> Statement:
    """Select entries of a wallet, newest first, by the filters that are named."""
    entries = ledger_entries.c
    query = all_of(ledger_entries, equals(entries.wallet_id))
    if "kind" in filters:
        query = query.where(equals(entries.kind))
    if "below_version" in filters:
        query = query.where(entries.wallet_version < bindparam("below_version"))
    query = within(query, entries.created_at, filters)
    return Statement(query.order_by(entries.wallet_version.desc()).limit(limit()))


@cache
def _newest(filters: frozenset[str]) -> Statement:
    """Select entries of all wallets, newest first, by the filters that are named."""
    entries = ledger_entries.c
    query = all_of(ledger_entries)
    for column in (entries.wallet_id, entries.kind):
        if column.name in filters:
            query = query.where(equals(column))
    if "model" in filters:
        of_model = (interactions.c.id == entries.interaction_id, equals(interactions.c.model))
        query = query.where(exists().where(*of_model))
    if "after_at" in filters:
        query = query.where(past(entries.created_at, entries.id))
    query = within(query, entries.created_at, filters)
    return Statement(query.order_by(entries.created_at.desc(), entries.id.desc()).limit(limit()))


class SqlLedger:
    """Entries by wallet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, entry: LedgerEntry) -> None:
        self._connection.put(ENTRIES.add, **ENTRIES.values(entry))

    def get(self, entry_id: EntryId) -> LedgerEntry | None:
        return ENTRIES.one(self._connection.one(_GET, id=entry_id))

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
        return list(map(ENTRIES.read, rows))

    def refunds_of(self, holds: Sequence[HoldId]) -> list[LedgerEntry]:
        return list(map(ENTRIES.read, self._connection.stream(_REFUNDS_OF, among=json.dumps(list(holds)))))

    def newest(self, filters: LedgerFilter, *, after: Position | None, limit: int) -> list[LedgerEntry]:
        wanted = {
            "wallet_id": filters.wallet_id,
            "kind": filters.kind and filters.kind.value,
            "model": filters.model,
            "start": filters.period.start,
            "end": filters.period.end,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        return list(map(ENTRIES.read, self._connection.stream(_newest(frozenset(given)), limit=limit, **given)))
