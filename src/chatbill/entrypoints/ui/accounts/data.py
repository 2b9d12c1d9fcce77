"""What is stored about a person: a copy of it, and the end of it."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.entrypoints.ui.shared.answers import FileAnswer
from chatbill.entrypoints.ui.shared.cookies import delete_cookie
from chatbill.entrypoints.ui.shared.forms import text_fields, unless_left
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.own_data import own_data


def data_routes(site: Site) -> None:
    """Add the view and its actions."""
    use_cases = site.use_cases

    async def show(visit: Visit) -> Response:
        return visit.html("account/data.html")

    async def erase(visit: Visit) -> Response:
        (password,) = await text_fields(visit.request, "password")
        await unless_left(visit.request, use_cases.administration.erase_own_account(visit.principal, password))
        answer = done(reload=True)
        delete_cookie(visit.request, answer)
        return answer

    async def export(visit: Visit) -> Response:
        return FileAnswer(own_data(use_cases, visit.principal))

    site.view("account/data", show)
    site.get("/web/account/export", export)
    site.post("/web/account/erase", erase)
