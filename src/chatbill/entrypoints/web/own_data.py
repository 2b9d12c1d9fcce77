"""One document with all that is stored about a person."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from litestar.serialization import encode_json

from chatbill.application.assembly import UseCases
from chatbill.application.shared.paging import MAX_PAGE, Page
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.entrypoints.web.accounts import AccountView
from chatbill.entrypoints.web.api_keys import ApiKeyView
from chatbill.entrypoints.web.exports import ExportFormat, FileStream
from chatbill.entrypoints.web.own_rows import ConversationView, InteractionView, TransactionView
from chatbill.entrypoints.web.sessions import SessionView

FetchPage = Callable[[str | None], Awaitable[Page[Any]]]


def own_data(use_cases: UseCases, principal: Principal) -> FileStream:
    """Return the document as a file, which is read as it is sent.

    Raises `Forbidden` for an API key, `RateLimited` where an export of theirs runs, and `Overloaded`.
    """
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
