"""The view of the administration."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.shared.visits import Site, Visit


def administration_views(site: Site) -> None:
    """Add the view."""
    site.view("administration", _show)


async def _show(visit: Visit) -> Response:
    return visit.html("administration.html")
