"""Routes for the entries and the requests behind the figures of reports."""

from __future__ import annotations

from litestar import Controller, get
from litestar.di import Provide
from litestar.response.base import ASGIResponse

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.reports import examples
from chatbill.entrypoints.http.reports.dashboard import DashboardView
from chatbill.entrypoints.http.reports.filters import (
    EntryQuery,
    ListPage,
    RequestQuery,
    provide_entry_query,
    provide_page,
    provide_request_query,
)
from chatbill.entrypoints.http.reports.parameters import PERIOD
from chatbill.entrypoints.http.reports.views import answer
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.list_exports import entry_pages, export_list, request_pages
from chatbill.entrypoints.web.list_rows import (
    ENTRY_COLUMNS,
    INTERACTION_COLUMNS,
    EntriesView,
    RequestsView,
)

PROBLEMS = ("invalid_request", "forbidden", "not_found", "rate_limited", "overloaded")


class ReportListController(Controller):
    """Entries and requests of all people."""

    path = "/admin"
    tags = ("Reports",)
    dependencies = {"page": Provide(provide_page, sync_to_thread=False)}  # noqa: RUF012 - the framework's own way

    @get(
        "/ledger",
        operation_id="listLedger",
        summary="List the ledger",
        dependencies={"wanted": Provide(provide_entry_query, sync_to_thread=False)},
        responses=documented(
            200,
            EntriesView,
            "Entries of all wallets, newest first. With `format`, a file with all of them.",
            examples.ENTRIES,
            signed_in=True,
            problems=PROBLEMS,
        ),
    )
    async def list_ledger(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        wanted: Injected[EntryQuery],
        page: Injected[ListPage],
    ) -> ASGIResponse:
        """List the entries behind the figures of a financial report. Needs the permission `read_money`.

        `kind=charge` adds up to `charged` and `given_back` of the report, `refund` to `given_back`, `top_up` to `sold`
        and `bonus`, `grant` to `granted`, and `adjustment` to `adjusted` less `refunded`.
        """
        fetch = entry_pages(use_cases, principal, wanted.filters, wanted.user_id)
        if page.form is None:
            found = await fetch(page.cursor, page.limit)
            return answer(EntriesView(items=found.items, next_cursor=found.next_cursor))
        require_permission(principal, Permission.READ_MONEY)
        return await export_list(use_cases, principal, "ledger", page.form, ENTRY_COLUMNS, fetch, wanted.facts)

    @get(
        "/interactions",
        operation_id="listInteractions",
        summary="List requests and their outcomes",
        dependencies={"wanted": Provide(provide_request_query, sync_to_thread=False)},
        responses=documented(
            200,
            RequestsView,
            "Requests of all people, newest first. With `format`, a file with all of them.",
            examples.REQUESTS,
            signed_in=True,
            problems=PROBLEMS,
        ),
    )
    async def list_interactions(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        wanted: Injected[RequestQuery],
        page: Injected[ListPage],
    ) -> ASGIResponse:
        """List the requests behind the figures of a usage report. Needs the permission `read_use`.

        `from` and `to` are about the end of a request, as in the report. `prompt` and `reply` are null and `q` is
        refused, unless `CHATBILL_ADMIN_READS_TEXTS` is set and an administrator asks; the audit trail records each
        page.
        """
        fetch = request_pages(use_cases, principal, wanted.filters)
        if page.form is None:
            found = await fetch(page.cursor, page.limit)
            return answer(RequestsView(items=found.items, next_cursor=found.next_cursor))
        require_permission(principal, Permission.READ_USE)
        return await export_list(
            use_cases, principal, "interactions", page.form, INTERACTION_COLUMNS, fetch, wanted.facts
        )

    @get(
        "/dashboard",
        operation_id="readDashboard",
        summary="Read the figures of a period at a glance",
        dependencies={"period": PERIOD},
        responses=documented(
            200, DashboardView, "The figures.", examples.DASHBOARD, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def read_dashboard(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        period: Injected[ReportPeriod],
    ) -> DashboardView:
        """Return people, requests, credits, models and open alerts.

        Needs the permission `read_use`; credits are null without `read_money`.
        """
        found = await use_cases.reports.read_dashboard(principal, period)
        alerts = await use_cases.monitoring.list_alerts(principal, AlertFilter(is_open=True), limit=MAX_PAGE)
        return DashboardView.of(found, alerts.items)
