"""The view of credits."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.ui.shell.config import WebConfig


def credit_views(site: Site, config: WebConfig) -> None:
    """Add the view."""
    site.view("credits", _show)


async def _show(visit: Visit) -> Response:
    return visit.html("credits.html")
