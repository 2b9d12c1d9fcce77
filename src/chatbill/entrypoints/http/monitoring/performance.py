"""Routes for the service's state, live figures and advice."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.monitoring.recent_figures import MINUTES
from chatbill.application.shared.principal import Principal
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.monitoring import examples
from chatbill.entrypoints.http.monitoring.live_views import LiveView
from chatbill.entrypoints.http.monitoring.views import AdviceView, AnalysisView, FreedView, PartsView
from chatbill.entrypoints.http.shared.parameters import Injected

Minutes = Annotated[
    int, QueryParameter(description="Length of the period in minutes.", schema_extra={"minimum": 1, "maximum": MINUTES})
]
LIVE = documented(
    200, LiveView, "Figures of this process.", examples.LIVE, signed_in=True, problems=("invalid_request",)
)


class MonitoringController(Controller):
    """The state of the parts, and live figures."""

    path = "/monitoring"
    tags = ("Monitoring",)

    @get(
        "/health",
        operation_id="readParts",
        summary="The state of each part",
        responses=documented(200, PartsView, "The parts and their state.", examples.PARTS, signed_in=True),
    )
    async def read_parts(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> PartsView:
        """Return how the database, each model and the jobs are. Needs the permission `read_use`."""
        return PartsView.of(await use_cases.monitoring.read_health(principal))

    @get("/metrics", operation_id="readLiveFigures", summary="Live figures", responses=LIVE)
    async def read_live(
        self, use_cases: Injected[UseCases], principal: Injected[Principal], minutes: Minutes = 5
    ) -> LiveView:
        """Return the figures of the last minutes of the process that answers. Needs the permission `read_use`."""
        return LiveView.of(await use_cases.monitoring.read_live(principal, minutes=minutes))


class PerformanceController(Controller):
    """Figures and advice for the last hour, and freeing memory."""

    path = "/performance"
    tags = ("Monitoring",)

    @get("/metrics", operation_id="readPerformance", summary="Figures of the last hour", responses=LIVE)
    async def read_performance(
        self, use_cases: Injected[UseCases], principal: Injected[Principal], minutes: Minutes = MINUTES
    ) -> LiveView:
        """Return the same as `/monitoring/metrics`, by default for the last hour. Needs the permission `read_use`."""
        return LiveView.of(await use_cases.monitoring.read_live(principal, minutes=minutes))

    @get(
        "/analysis",
        operation_id="analysePerformance",
        summary="Findings with advice",
        responses=documented(200, AnalysisView, "Findings of the last hour.", examples.ANALYSIS, signed_in=True),
    )
    async def analyse(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> AnalysisView:
        """Return what makes this process slow or unreliable, each with its evidence. Needs `read_use`."""
        found = await use_cases.monitoring.analyse(principal)
        return AnalysisView(findings=[AdviceView.of(advice) for advice in found])

    @post(
        "/optimize/memory",
        status_code=200,
        operation_id="freeMemory",
        summary="Free the memory of idle models",
        responses=documented(200, FreedView, "The memory before and after.", examples.FREED, signed_in=True),
    )
    async def free_memory(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> FreedView:
        """Empty the prefix caches and unload idle models of this process. Needs the permission `operate`.

        The next message to such a model waits until it is loaded again.
        """
        freed = await use_cases.monitoring.free_memory(principal)
        return FreedView(before_bytes=freed.before_bytes, after_bytes=freed.after_bytes)
