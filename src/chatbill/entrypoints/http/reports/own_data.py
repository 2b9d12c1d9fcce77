"""The route for all that is stored about a person."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Controller, get

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.accounts import AccountView
from chatbill.entrypoints.web.api_keys import ApiKeyView
from chatbill.entrypoints.web.exports import FileStream
from chatbill.entrypoints.web.own_data import own_data
from chatbill.entrypoints.web.own_rows import ConversationView, InteractionView, TransactionView
from chatbill.entrypoints.web.sessions import SessionView


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDataView:
    """All that is stored about a person: lists as the API shows them, complete."""

    account: AccountView
    sessions: list[SessionView]
    api_keys: list[ApiKeyView]
    conversations: list[ConversationView]
    messages: list[InteractionView]
    transactions: list[TransactionView]


class OwnDataController(Controller):
    """The data of the user."""

    path = "/auth"
    tags = ("Accounts",)

    @get(
        "/export",
        operation_id="exportOwnData",
        summary="Export all that is stored about you",
        responses=documented(
            200,
            OwnDataView,
            "One JSON document, streamed.",
            examples.OWN_DATA,
            signed_in=True,
            problems=("forbidden", "rate_limited", "overloaded"),
        ),
    )
    async def export_own_data(self, use_cases: Injected[UseCases], principal: Injected[Principal]) -> FileStream:
        """Export your account, sessions, keys, conversations, messages and transactions. One export runs at a time."""
        return own_data(use_cases, principal)
