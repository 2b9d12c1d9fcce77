"""The route of the metrics on the port of the service, for a Prometheus that has the token."""

from __future__ import annotations

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from chatbill.domain.shared.errors import Unauthenticated
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.metrics import MEDIA_TYPE, PATH, MetricsPage


def metrics_route(page: MetricsPage) -> HTTPRouteHandler:
    """Return the route, which accepts the token of the setting and neither people nor API keys."""

    @get(PATH, include_in_schema=False)
    async def read_metrics(request: JsonRequest) -> Response[bytes]:
        if not page.accepts(request.headers.getall("authorization", [])):
            raise Unauthenticated
        return Response(await page.text(), media_type=MEDIA_TYPE)

    return read_metrics
