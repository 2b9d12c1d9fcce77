"""Routes for probes and load balancers, and the root. They need no authentication."""

from __future__ import annotations

import time

from litestar import Controller, Response, get
from litestar.exceptions import NotFoundException

import chatbill
from chatbill.application.assembly import UseCases
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, returned
from chatbill.entrypoints.http.health.views import HealthView, ReadinessView, RootView, SeenView
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.probes import HEADER, is_signed


class HealthController(Controller):
    """Liveness and readiness."""

    path = "/health"
    tags = ("Health",)

    @get(
        operation_id="readHealth",
        summary="Liveness",
        responses=documented(200, HealthView, "The process runs.", examples.HEALTH),
    )
    async def read_health(self) -> HealthView:
        """Answer while the process runs."""
        return HealthView()

    @get(
        "/ready",
        operation_id="readReadiness",
        summary="Readiness",
        responses=documented(200, ReadinessView, "The database and at least one model work.", examples.READY)
        | {503: returned(ReadinessView, "Something is missing, or the service is stopping.", examples.NOT_READY)},
    )
    async def read_readiness(self, use_cases: Injected[UseCases]) -> Response[ReadinessView]:
        """Return whether the database stored a small write and a model wrote a token not long ago.

        While one model works, another that should and does not makes the status `degraded`. A model that does not fit
        in memory does not. A resting model, which the next message loads, works. From the moment at which the service
        is told to stop, it is not ready, and still answers for some seconds.
        """
        readiness = ReadinessView.of(await use_cases.chat.check_readiness())
        return Response(readiness, status_code=200 if readiness.ready else 503)

    @get("/seen", include_in_schema=False)
    async def read_seen(self, request: JsonRequest, config: Injected[HttpConfig]) -> SeenView:
        """Return what the service sees of a request that the doctor has signed; 404 for any other."""
        signed = request.headers.get(HEADER, "")
        if config.probe_key is None or not is_signed(config.probe_key, signed, now_s=time.time()):
            raise NotFoundException
        return SeenView.of(request.scope)


@get("/", include_in_schema=False, opt={"open": True})
async def read_root(request: JsonRequest) -> RootView:
    """Return the name and the version, and where to continue."""
    root = request.scope.get("root_path", "")
    return RootView(
        name="chatbill", version=chatbill.__version__, documentation=f"{root}/docs", health=f"{root}/health"
    )
