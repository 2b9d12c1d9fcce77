"""Health: is the process there, and would a message be taken? Open to all, for probes and balancers."""

from __future__ import annotations

from litestar import Controller, Response, get

import chatbill
from chatbill.application.assembly import UseCases
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, returned
from chatbill.entrypoints.http.health.views import HealthView, ReadinessView, RootView
from chatbill.entrypoints.http.shared.injection import Injected


class HealthController(Controller):
    """What a probe asks."""

    path = "/health"
    tags = ("Health",)

    @get(
        operation_id="readHealth",
        summary="Is the process there",
        responses=documented(200, HealthView, "It is.", examples.HEALTH),
    )
    async def read_health(self) -> HealthView:
        """Answers as long as the process does."""
        return HealthView()

    @get(
        "/ready",
        operation_id="readReadiness",
        summary="Would a message be taken",
        responses=documented(
            200, ReadinessView, "The database keeps what is written, and each model on offer answers.", examples.READY
        )
        | {503: returned(ReadinessView, "Something is missing.", examples.NOT_READY)},
    )
    async def read_readiness(self, use_cases: Injected[UseCases]) -> Response[ReadinessView]:
        """Ready means that the database took a small write, and each model on offer wrote a token, not long ago.

        A model that is not offered, because it does not fit in memory, is not missed while another can be asked. One
        that rests is loaded by the next message, and counts as one that can be asked.
        """
        readiness = ReadinessView.of(await use_cases.check_readiness())
        return Response(readiness, status_code=200 if readiness.ready else 503)


@get("/", include_in_schema=False, opt={"open": True})
async def read_root() -> RootView:
    """What answers here, and where to read on."""
    return RootView(name="chatbill", version=chatbill.__version__, documentation="/docs", health="/health")
