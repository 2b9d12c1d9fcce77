"""Exports of one's own rows: JSON or CSV, in one of the places for exports."""

from __future__ import annotations

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.shared.paging import Page
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.web.exports import ExportFormat, FetchPage, FileStream, export
from chatbill.entrypoints.web.own_rows import HISTORY_COLUMNS, TRANSACTION_COLUMNS, TransactionView
from chatbill.entrypoints.web.tables import Columns, T

FORMATS = (ExportFormat.JSON.value, ExportFormat.CSV.value)


async def export_transactions(
    use_cases: UseCases, principal: Principal, form: str, *, kind: EntryKind | None, period: Period
) -> FileStream:
    """Return the transactions of the principal as a file, newest first. Raises as `list_transactions` and `_own`."""

    async def fetch(cursor: str | None, limit: int) -> Page[TransactionView]:
        found = await use_cases.billing.list_transactions(
            principal, kind=kind, period=period, limit=limit, cursor=cursor
        )
        return Page([TransactionView.of(each) for each in found.items], found.next_cursor)

    return await _own(use_cases, principal, "transactions", form, TRANSACTION_COLUMNS, fetch)


async def export_history(use_cases: UseCases, principal: Principal, form: str, filters: HistoryFilter) -> FileStream:
    """Return the history of the principal as a file, newest first. Raises as `list_history` and `_own`."""

    async def fetch(cursor: str | None, limit: int) -> Page[Interaction]:
        return await use_cases.chat.list_history(principal, filters, limit=limit, cursor=cursor)

    return await _own(use_cases, principal, "history", form, HISTORY_COLUMNS, fetch)


async def _own(
    use_cases: UseCases, principal: Principal, name: str, form: str, columns: Columns[T], fetch: FetchPage[T]
) -> FileStream:
    """Return all pages as a file.

    Raises `InvalidRequest` for another format, `RateLimited` where an export of theirs runs, and `Overloaded`.
    """
    if form not in FORMATS:
        raise InvalidRequest.of("format", "not_one_of", known=", ".join(FORMATS))
    places = use_cases.reports.export_places
    places.take(principal.user_id)
    return await export(name, ExportFormat(form), columns, fetch, done=lambda: places.release(principal.user_id))
