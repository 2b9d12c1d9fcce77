"""The view of the chat."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.live.hub import Hub
from chatbill.entrypoints.ui.shared.visits import Site, Visit


def chat_views(site: Site, hub: Hub) -> None:
    """Add the view of a new conversation and of one that exists."""
    site.view("", _show)
    site.view("c/{conversation_id}", _show)


async def _show(visit: Visit) -> Response:
    return visit.html("chat.html")
