"""Routes for the sessions of the user. They need an access token; an API key is not accepted."""

from __future__ import annotations

from litestar import Controller, delete, get
from litestar.params import FromPath

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import SessionId
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.sessions import SessionView


class SessionController(Controller):
    """The sessions of the user."""

    path = "/auth/sessions"
    tags = ("Accounts",)

    @get(
        operation_id="listSessions",
        summary="List sessions",
        responses=documented(
            200,
            list[SessionView],
            "The sessions that are live, the last used first.",
            [examples.SESSION],
            signed_in=True,
        ),
    )
    async def list_sessions(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> list[SessionView]:
        """List where you are signed in, on the web page and by the API. `current` is the session of this request."""
        sessions = await use_cases.accounts.list_sessions(principal)
        return [SessionView.of(session, principal) for session in sessions]

    @delete(
        "/{session_id:str}",
        status_code=204,
        operation_id="endSession",
        summary="End a session",
        responses=documented_empty(
            204, "The session has ended, now or before.", signed_in=True, problems=("not_found",)
        ),
    )
    async def end_session(
        self, session_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> None:
        """End a session at once: its access token and its refresh token, or its browser's cookie, are not accepted."""
        if not could_be_id(session_id):
            raise NotFound("session")
        await use_cases.accounts.end_session(principal, SessionId(session_id))
