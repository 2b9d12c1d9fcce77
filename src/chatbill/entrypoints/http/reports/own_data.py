"""The route for all that is stored about a person."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from litestar import Controller, get
from litestar.serialization import encode_json

from chatbill.application.assembly import UseCases
from chatbill.application.shared.paging import MAX_PAGE, Page
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.entrypoints.http.accounts.views import AccountView
from chatbill.entrypoints.http.chat.views import ConversationView, InteractionView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.web.api_keys import ApiKeyView
from chatbill.entrypoints.web.exports import ExportFormat, FileStream
from chatbill.entrypoints.web.own_rows import TransactionView
from chatbill.entrypoints.web.sessions import SessionView

FetchPage = Callable[[str | None], Awaitable[Page[Any]]]


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
        require_sign_in(principal)
        places = use_cases.reports.export_places
        places.take(principal.user_id)
        parts = _document(use_cases, principal)
        return FileStream("my-data", ExportFormat.JSON, parts, lambda: places.release(principal.user_id))


async def _document(use_cases: UseCases, principal: Principal) -> AsyncGenerator[bytes, None]:
    """Yield the document; of a long list, one page is in memory at a time."""
    accounts, chat, billing = use_cases.accounts, use_cases.chat, use_cases.billing
    facts = {
        "account": AccountView.of(await accounts.read_account(principal)),
        "sessions": [SessionView.of(each, principal) for each in await accounts.list_sessions(principal)],
        "api_keys": [ApiKeyView.of(each) for each in await accounts.list_api_keys(principal)],
    }
    yield encode_json(facts).removesuffix(b"}")

    async def conversations(cursor: str | None) -> Page[Any]:
        return await chat.list_conversations(principal, limit=MAX_PAGE, cursor=cursor)

    async def messages(cursor: str | None) -> Page[Any]:
        return await chat.list_history(principal, limit=MAX_PAGE, cursor=cursor)

    async def transactions(cursor: str | None) -> Page[Any]:
        return await billing.list_transactions(principal, limit=MAX_PAGE, cursor=cursor)

    lists: tuple[tuple[str, FetchPage, Callable[[Any], Any]], ...] = (
        ("conversations", conversations, ConversationView.of),
        ("messages", messages, InteractionView.of),
        ("transactions", transactions, TransactionView.of),
    )
    for name, fetch, view in lists:
        yield b',"%s":[' % name.encode()
        async for part in _items(fetch, view):
            yield part
        yield b"]"
    yield b"}"


async def _items(fetch: FetchPage, view: Callable[[Any], Any]) -> AsyncGenerator[bytes, None]:
    cursor, before = None, b""
    while True:
        page = await fetch(cursor)
        if page.items:
            yield before + b",".join(encode_json(view(item)) for item in page.items)
            before = b","
        cursor = page.next_cursor
        if cursor is None:
            return
