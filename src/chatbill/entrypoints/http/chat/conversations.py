"""Routes for conversations and the history."""

from __future__ import annotations

from litestar import Controller, delete, get, patch
from litestar.params import FromPath, JSONBody

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.shared.paging import DEFAULT_PAGE, MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId
from chatbill.entrypoints.http.chat.bodies import ConversationBody
from chatbill.entrypoints.http.chat.exports import HistoryExportView
from chatbill.entrypoints.http.chat.filters import FILTERS
from chatbill.entrypoints.http.chat.views import ConversationsView, HistoryView, ThreadView
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.authentication import SCOPE
from chatbill.entrypoints.http.shared.own_exports import PROBLEMS, OwnFormat
from chatbill.entrypoints.http.shared.parameters import (
    Cursor,
    Injected,
    PageLimit,
    SearchText,
)
from chatbill.entrypoints.web.exports import FileStream
from chatbill.entrypoints.web.own_exports import export_history
from chatbill.entrypoints.web.own_rows import ConversationView
from chatbill.entrypoints.web.parameters import checked_text, could_be_id


class ConversationController(Controller):
    """The conversations of the user."""

    path = "/chat"
    tags = ("Conversations",)

    @get(
        "/conversations",
        operation_id="listConversations",
        opt={SCOPE: Scope.READ},
        summary="List conversations",
        responses=documented(
            200,
            ConversationsView,
            "Conversations, the pinned ones first, then the most recent.",
            examples.CONVERSATIONS,
            signed_in=True,
            problems=("invalid_request",),
        ),
    )
    async def list_conversations(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        text: SearchText = None,
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> ConversationsView:
        """List your conversations. With `q`, only those that have these words in their title or in a message."""
        text = checked_text("q", text)
        page = await use_cases.chat.list_conversations(principal, text=text, limit=limit, cursor=cursor)
        return ConversationsView.of(page)

    @get(
        "/conversations/{conversation_id:str}",
        operation_id="readConversation",
        opt={SCOPE: Scope.READ},
        summary="Read a conversation",
        responses=documented(
            200,
            ThreadView,
            "The conversation and its latest messages, oldest first.",
            examples.THREAD,
            signed_in=True,
            problems=("invalid_request", "not_found"),
        ),
    )
    async def read_conversation(
        self,
        conversation_id: FromPath[str],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        limit: PageLimit = MAX_PAGE,
        cursor: Cursor = None,
    ) -> ThreadView:
        """Return one conversation. `next_cursor` gets earlier messages."""
        thread = await use_cases.chat.read_conversation(principal, _id(conversation_id), limit=limit, cursor=cursor)
        return ThreadView.of(thread)

    @patch(
        "/conversations/{conversation_id:str}",
        operation_id="changeConversation",
        opt={SCOPE: Scope.WRITE},
        summary="Rename or pin a conversation",
        responses=documented(
            200,
            ConversationView,
            "The conversation as it is now.",
            examples.CONVERSATION,
            signed_in=True,
            problems=("invalid_request", "not_found"),
        ),
    )
    async def change_conversation(
        self,
        conversation_id: FromPath[str],
        data: JSONBody[ConversationBody],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
    ) -> ConversationView:
        """Give a conversation a new title, or pin it."""
        changed = await use_cases.chat.change_conversation(
            principal, _id(conversation_id), title=data.title, pinned=data.pinned
        )
        return ConversationView.of(changed)

    @delete(
        "/conversations/{conversation_id:str}",
        status_code=204,
        operation_id="deleteConversation",
        opt={SCOPE: Scope.WRITE},
        summary="Delete a conversation",
        responses=documented_empty(
            204,
            "Its texts are erased; its figures stay in the ledger.",
            signed_in=True,
            problems=("not_found", "conflict"),
        ),
    )
    async def delete_conversation(
        self, conversation_id: FromPath[str], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> None:
        """Delete a conversation for ever. Stop a running reply in it first."""
        await use_cases.chat.delete_conversation(principal, _id(conversation_id))

    @get(
        "/history",
        operation_id="listHistory",
        opt={SCOPE: Scope.READ},
        summary="Search the history",
        dependencies=FILTERS,
        responses=documented(
            200,
            HistoryView,
            "Interactions, newest first.",
            examples.HISTORY,
            signed_in=True,
            problems=("invalid_request",),
        ),
    )
    async def list_history(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        filters: Injected[HistoryFilter],
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> HistoryView:
        """List your messages of all conversations, with their replies and charges."""
        return HistoryView.of(await use_cases.chat.list_history(principal, filters, limit=limit, cursor=cursor))

    @get(
        "/history/export",
        operation_id="exportHistory",
        opt={SCOPE: Scope.READ},
        summary="Export the history",
        dependencies=FILTERS,
        responses=documented(
            200, HistoryExportView, "A file, streamed.", examples.HISTORY_EXPORT, signed_in=True, problems=PROBLEMS
        ),
    )
    async def export_history(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        filters: Injected[HistoryFilter],
        form: OwnFormat = "json",
    ) -> FileStream:
        """Export your messages of all conversations, with their replies and charges. One export runs at a time."""
        return await export_history(use_cases, principal, form, filters)


def _id(conversation_id: str) -> ConversationId:
    if not could_be_id(conversation_id):
        raise NotFound("conversation")
    return ConversationId(conversation_id)
