"""The route of the log."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.monitoring.list_logs import LEVELS, MAX_EVENTS
from chatbill.application.shared.principal import Principal
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.monitoring import examples
from chatbill.entrypoints.http.monitoring.views import LogEventView, LogsView
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.parameters import checked_text

Level = Annotated[str, QueryParameter(description="The least serious level.", schema_extra={"enum": list(LEVELS)})]
Words = Annotated[str | None, QueryParameter(name="q", description="Text that an event must contain.")]
Newest = Annotated[
    int, QueryParameter(description="The most events.", schema_extra={"minimum": 1, "maximum": MAX_EVENTS})
]


class LogController(Controller):
    """The log of this process."""

    path = "/admin/logs"
    tags = ("Monitoring",)

    @get(
        operation_id="listLogs",
        summary="The newest events in the log of this process",
        responses=documented(
            200, LogsView, "Events, newest first.", examples.LOGS, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def list_logs(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        level: Level = LEVELS[0],
        text: Words = None,
        limit: Newest = 100,
    ) -> LogsView:
        """List events without secrets and without texts of people. Needs the permission `read_audit`.

        Each process has its own log, and keeps its last 1,000 events.
        """
        found = use_cases.monitoring.list_logs(principal, level=level, text=checked_text("q", text), limit=limit)
        return LogsView(items=[LogEventView.of(event) for event in found])
