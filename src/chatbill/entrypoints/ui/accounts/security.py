"""The security of the account: its password, and where the person is signed in."""

from __future__ import annotations

from starlette.responses import Response

from chatbill.application.accounts.change_password import PasswordChange
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import SessionId
from chatbill.entrypoints.ui.accounts.clients import name_of_client
from chatbill.entrypoints.ui.shared.forms import text_fields, unless_left
from chatbill.entrypoints.ui.shared.visits import Site, Visit, done
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.sessions import SessionView


def security_routes(site: Site) -> None:
    """Add the view and its actions."""
    accounts = site.use_cases.accounts

    async def sessions_of(visit: Visit) -> list[tuple[SessionView, str]]:
        rows = [SessionView.of(each, visit.principal) for each in await accounts.list_sessions(visit.principal)]
        rows.sort(key=lambda row: not row.current)
        return [(row, name_of_client(row.client)) for row in rows]

    async def list_again(visit: Visit) -> dict[str, str]:
        return {"cb-sessions": visit.text("account/sessions.html", sessions=await sessions_of(visit))}

    async def show(visit: Visit) -> Response:
        factor = await accounts.read_second_factor(visit.principal)
        return visit.html("account/security.html", factor=factor, sessions=await sessions_of(visit))

    async def change_password(visit: Visit) -> Response:
        current, new, keys = await text_fields(
            visit.request, "current_password", "new_password", optional=("revoke_api_keys",)
        )
        change = PasswordChange(current=current, new=new, revoke_api_keys=keys == "on")
        await unless_left(visit.request, accounts.change_password(visit.principal, change))
        said = _("Your new password is set, and you are signed out everywhere else.")
        done_here = {"cb-password": visit.text("account/said.html", said=said)}
        return done(say=said, put=done_here | await list_again(visit))

    async def end_session(visit: Visit) -> Response:
        session_id = visit.path("session_id")
        if not could_be_id(session_id):
            raise NotFound("session")
        await accounts.end_session(visit.principal, SessionId(session_id))
        return done(say=_("The session has ended."), put=await list_again(visit))

    site.view("account/security", show)
    site.post("/web/password", change_password)
    site.delete("/web/sessions/{session_id}", end_session)
