"""Files with the entries or the requests of all people: recorded first, in one of the places for exports."""

from __future__ import annotations

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.shared.paging import Page
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.audit_trail import Facts
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.web.exports import ExportFormat, FetchPage, FileStream, export
from chatbill.entrypoints.web.list_rows import EntryView, RequestView
from chatbill.entrypoints.web.tables import Columns, T


def entry_pages(
    use_cases: UseCases, principal: Principal, filters: LedgerFilter, user_id: UserId | None
) -> FetchPage[EntryView]:
    """Return what reads the pages of these entries. It raises as `list_ledger`."""

    async def fetch(cursor: str | None, limit: int) -> Page[EntryView]:
        found = await use_cases.reports.list_ledger(principal, filters, user_id=user_id, limit=limit, cursor=cursor)
        return Page([EntryView.of(each) for each in found.items], found.next_cursor)

    return fetch


def request_pages(use_cases: UseCases, principal: Principal, filters: InteractionFilter) -> FetchPage[RequestView]:
    """Return what reads the pages of these requests. It raises as `list_interactions`."""

    async def fetch(cursor: str | None, limit: int) -> Page[RequestView]:
        found = await use_cases.reports.list_interactions(principal, filters, limit=limit, cursor=cursor)
        items = [RequestView.of(each, has_texts=found.has_texts) for each in found.page.items]
        return Page(items, found.page.next_cursor)

    return fetch


async def export_list(
    use_cases: UseCases,
    principal: Principal,
    what: str,
    form: ExportFormat,
    columns: Columns[T],
    fetch: FetchPage[T],
    facts: Facts,
) -> FileStream:
    """Record the export of a list, then return all of its pages as a file.

    The caller has checked the permission. Raises `RateLimited` where an export of theirs runs, and `Overloaded`.
    """
    reports = use_cases.reports
    reports.export_places.take(principal.user_id)
    try:
        await reports.record_export(principal, what, {**facts, "format": form.value})
    except BaseException:
        reports.export_places.release(principal.user_id)
        raise
    return await export(what, form, columns, fetch, done=lambda: reports.export_places.release(principal.user_id))
