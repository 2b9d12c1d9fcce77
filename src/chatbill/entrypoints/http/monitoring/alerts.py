"""The routes of alerts."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import FromPath, QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.monitoring.alerts import AlertKind
from chatbill.domain.shared.errors import InvalidRequest, NotFound
from chatbill.domain.shared.ids import AlertId
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.monitoring import examples
from chatbill.entrypoints.http.monitoring.views import AlertsView
from chatbill.entrypoints.http.shared.parameters import Cursor, Injected, PageLimit
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.parameters import could_be_id

KINDS = tuple(kind.value for kind in AlertKind)
Kind = Annotated[str | None, QueryParameter(description="The kind.", schema_extra={"enum": list(KINDS)})]
IsOpen = Annotated[bool | None, QueryParameter(name="open", description="Whether it is open.")]


class AlertController(Controller):
    """What is wrong with the service."""

    path = "/admin/alerts"
    tags = ("Monitoring",)

    @get(
        operation_id="listAlerts",
        summary="Alerts",
        responses=documented(
            200, AlertsView, "Alerts, newest first.", examples.ALERTS, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def list_alerts(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        kind: Kind = None,
        is_open: IsOpen = None,
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> AlertsView:
        """List what is or was wrong. An alert closes by itself. Needs the permission `read_use`."""
        if kind is not None and kind not in KINDS:
            raise InvalidRequest.of("kind", "not_one_of", known=", ".join(KINDS))
        filters = AlertFilter(kind=AlertKind(kind) if kind else None, is_open=is_open)
        page = await use_cases.monitoring.list_alerts(principal, filters, limit=limit, cursor=cursor)
        return AlertsView(items=[AlertView.of(alert) for alert in page.items], next_cursor=page.next_cursor)

    @post(
        "/{alert_id:str}/acknowledge",
        status_code=200,
        operation_id="acknowledgeAlert",
        summary="Acknowledge an alert",
        responses=documented(
            200, AlertView, "The alert.", examples.ACKNOWLEDGED, signed_in=True, problems=("not_found",)
        ),
    )
    async def acknowledge_alert(
        self, alert_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> AlertView:
        """Say that you know of it, so that it is not notified again. Needs the permission `operate`."""
        if not could_be_id(alert_id):
            raise NotFound("alert")
        return AlertView.of(await use_cases.monitoring.acknowledge_alert(principal, AlertId(alert_id)))
