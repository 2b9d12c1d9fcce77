"""The view of the history."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.shared.visits import Site, Visit


def history_views(site: Site) -> None:
    """Add the view."""
    site.view("history", _show)


async def _show(visit: Visit) -> Response:
    return visit.html("history.html")
