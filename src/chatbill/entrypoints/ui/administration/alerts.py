"""Alerts: what is wrong now, what was, and who knows of it."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.ids import AlertId
from chatbill.entrypoints.ui.administration.sections import ACTIONS, HOME, asked, id_of, show
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.language import gettext as _


def alert_views(site: Site) -> None:
    """Add the view and its action."""
    monitoring = site.use_cases.monitoring

    async def alerts(visit: Visit) -> Response:
        found = asked(visit, "state")
        is_open = {"open": True, "closed": False}.get(found.get("state", ""))
        page = await monitoring.list_alerts(visit.principal, AlertFilter(is_open=is_open), cursor=found.get("cursor"))
        items = [AlertView.of(alert) for alert in page.items]
        return show(visit, "alerts", "alerts.html", items=items, page=page, asked=found)

    async def acknowledge(visit: Visit) -> Response:
        await monitoring.acknowledge_alert(visit.principal, AlertId(id_of(visit, "alert_id", "alert")))
        return done(say=_("The alert is acknowledged."), refresh=True)

    site.view(f"{HOME}/alerts", alerts, Permission.READ_USE)
    site.post(f"{ACTIONS}/alerts/{{alert_id}}/acknowledge", acknowledge, Permission.OPERATE)
