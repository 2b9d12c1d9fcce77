"""The view of the account."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.shared.visits import Site, Visit


def account_views(site: Site) -> None:
    """Add the view."""
    site.view("account", _show)


async def _show(visit: Visit) -> Response:
    return visit.html("account.html")
