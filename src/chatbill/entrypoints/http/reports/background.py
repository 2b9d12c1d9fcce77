"""Routes for exports that are written in the background."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta

from litestar import Controller, get, post
from litestar.di import Provide
from litestar.params import FromPath

from chatbill.application.assembly import UseCases
from chatbill.application.reports.export_jobs import KEPT_S, NEEDED, Exported, Wanted
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.errors import Conflict, InvalidRequest, NotFound
from chatbill.domain.shared.ids import JobId
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.reports import examples
from chatbill.entrypoints.http.reports.filters import (
    EntryQuery,
    RequestQuery,
    provide_entry_query,
    provide_request_query,
)
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.background_exports import ExportFolder
from chatbill.entrypoints.web.exports import ExportFormat, FileStream, file_parts
from chatbill.entrypoints.web.parameters import could_be_id

PROBLEMS = ("invalid_request", "conflict", "rate_limited", "overloaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportView:
    """An export. `state` is queued, running, done or failed; `rows` are written so far, and `error` is a code."""

    id: str
    what: str
    state: str
    rows: int
    error: str | None
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, job: Job, folder: ExportFolder) -> ExportView:
        """Return the view of an export."""
        progress = folder.progress(job)
        gave_up = progress.error
        if job.state is JobState.DONE and not folder.file(job).is_file():
            gave_up = gave_up or "file_missing"
        return cls(
            id=job.id,
            what=Wanted.of(job).what.value,
            state=JobState.FAILED.value if gave_up else job.state.value,
            rows=progress.rows,
            error=gave_up or job.error,
            created_at=job.created_at,
            expires_at=job.created_at + timedelta(seconds=KEPT_S),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportsView:
    """Your exports, newest first."""

    items: list[ExportView]


class BackgroundExportController(Controller):
    """Spreadsheets with more rows than an answer can wait for."""

    path = "/admin/exports"
    tags = ("Reports",)

    @post(
        "/ledger",
        status_code=202,
        operation_id="exportLedger",
        summary="Export the ledger in the background",
        dependencies={"wanted": Provide(provide_entry_query, sync_to_thread=False)},
        responses=documented(
            202, ExportView, "The export, which is queued.", examples.EXPORT, signed_in=True, problems=PROBLEMS
        ),
    )
    async def export_ledger(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
        wanted: Injected[EntryQuery],
    ) -> ExportView:
        """Queue a spreadsheet with all entries that are selected, a million at most. Needs the permission `read_money`.

        A person has at most 3 exports. Each can be fetched for a day.
        """
        found = Wanted(
            what=Exported.LEDGER,
            user_id=wanted.user_id,
            wallet_id=wanted.filters.wallet_id,
            model=wanted.filters.model,
            kind=wanted.filters.kind,
            period=wanted.filters.period,
        )
        return await _asked(use_cases, principal, config, found)

    @post(
        "/interactions",
        status_code=202,
        operation_id="exportInteractions",
        summary="Export requests in the background",
        dependencies={"wanted": Provide(provide_request_query, sync_to_thread=False)},
        responses=documented(
            202, ExportView, "The export, which is queued.", examples.EXPORT, signed_in=True, problems=PROBLEMS
        ),
    )
    async def export_interactions(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
        wanted: Injected[RequestQuery],
    ) -> ExportView:
        """Queue a spreadsheet with all requests that are selected. Needs the permission `read_use`.

        It never has prompts and replies, and cannot be selected by them.
        """
        filters = wanted.filters
        found = Wanted(
            what=Exported.INTERACTIONS,
            user_id=filters.user_id,
            model=filters.model,
            outcome=filters.outcome,
            period=filters.period,
        )
        if filters.text is not None:
            raise InvalidRequest.of("q", "texts_not_readable")
        return await _asked(use_cases, principal, config, found)

    @get(
        operation_id="listExports",
        summary="List your exports",
        responses=documented(
            200, ExportsView, "Your exports.", examples.EXPORTS, signed_in=True, problems=("conflict",)
        ),
    )
    async def list_exports(
        self, use_cases: Injected[UseCases], principal: Injected[Principal], config: Injected[HttpConfig]
    ) -> ExportsView:
        """List the exports of the last day that you have asked for. Needs the permission `read_use`."""
        jobs = await use_cases.reports.export_jobs.list(principal)
        folder = _folder(config)
        return ExportsView(items=[ExportView.of(job, folder) for job in jobs])

    @get(
        "/{export_id:str}",
        operation_id="getExport",
        summary="Read how far an export is",
        responses=documented(
            200, ExportView, "The export.", examples.EXPORT, signed_in=True, problems=("conflict", "not_found")
        ),
    )
    async def get_export(
        self,
        export_id: FromPath[str],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
    ) -> ExportView:
        """Return one of your exports. Needs the permission `read_use`, and for the ledger `read_money`."""
        return ExportView.of(await _export(use_cases, principal, export_id), _folder(config))

    @get(
        "/{export_id:str}/file",
        operation_id="fetchExport",
        summary="Fetch the file of an export",
        responses=documented(
            200,
            ExportView,
            "The spreadsheet.",
            examples.EXPORT,
            signed_in=True,
            problems=("conflict", "not_found", "rate_limited", "overloaded"),
        ),
    )
    async def fetch_export(
        self,
        export_id: FromPath[str],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        config: Injected[HttpConfig],
    ) -> FileStream:
        """Send the spreadsheet of one of your exports, once it is done. Permissions are those of the export."""
        job, folder = await _export(use_cases, principal, export_id), _folder(config)
        places = use_cases.reports.export_places
        if ExportView.of(job, folder).state != JobState.DONE.value:
            raise Conflict("export_not_done")
        places.take(principal.user_id)
        parts: AsyncGenerator[bytes, None] = file_parts(folder.file(job))
        name = Wanted.of(job).what.value
        return FileStream(name, ExportFormat.XLSX, parts, lambda: places.release(principal.user_id))


async def _asked(use_cases: UseCases, principal: Principal, config: HttpConfig, wanted: Wanted) -> ExportView:
    require_permission(principal, NEEDED[wanted.what])
    folder = _folder(config)  # before it is asked for, as nothing would write it
    return ExportView.of(await use_cases.reports.export_jobs.ask(principal, wanted), folder)


async def _export(use_cases: UseCases, principal: Principal, export_id: str) -> Job:
    if not could_be_id(export_id):
        raise NotFound("export")
    return await use_cases.reports.export_jobs.get(principal, JobId(export_id))


def _folder(config: HttpConfig) -> ExportFolder:
    if config.exports is None:
        raise Conflict("exports_without_folder")
    return config.exports
