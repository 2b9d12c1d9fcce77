"""Response bodies of replies, the history and conversations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from chatbill.application.chat.events import Completed, Stopped
from chatbill.application.chat.quote_message import Quote
from chatbill.application.chat.read_conversation import Thread
from chatbill.application.shared.paging import Page
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction
from chatbill.entrypoints.web.own_rows import ConversationView, InteractionView, UsageView, error_detail_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextView:
    """How much of the conversation the model read.

    `tokens` is the length of the prompt, and `limit` the window of the model, which prompt and reply share.
    `dropped_turns` is how many of the oldest messages and replies were left out, because they did not fit.
    """

    tokens: int
    limit: int | None = None
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyView:
    """A reply that was charged. `balance` is the balance after it, in credits.

    It follows the interaction `parent_id`, which is null at the beginning of a conversation.

    `first_token_ms` is null in a reply without a token, and in one from before it was recorded.
    `error_code` and `error_detail` say what stopped the reply, if that was no person: `content_filter`.
    `cached` is true if the reply was written before and sent again.
    """

    id: str
    conversation_id: str
    parent_id: str | None = None
    model: str
    reply: str
    outcome: str
    usage: UsageView
    context: ContextView
    credits_charged: int
    balance: int | None = None
    processing_time_ms: int | None = None
    first_token_ms: int | None = None
    error_code: str | None = None
    error_detail: str | None = None
    cached: bool = False

    @classmethod
    def of(cls, end: Completed | Stopped) -> ReplyView:
        """Return the view of a settled reply."""
        interaction, context = end.interaction, end.context
        return cls(
            id=interaction.id,
            conversation_id=interaction.conversation_id,
            parent_id=end.parent_id,
            model=interaction.model,
            reply=interaction.reply,
            outcome=interaction.outcome.value,
            usage=UsageView.of(interaction.usage),
            context=ContextView(tokens=context.tokens, limit=context.limit, dropped_turns=context.dropped_turns),
            credits_charged=interaction.credits_charged,
            balance=interaction.balance_after,
            processing_time_ms=interaction.processing_time_ms,
            first_token_ms=interaction.first_token_ms,
            error_code=interaction.error_code,
            error_detail=error_detail_of(interaction),
            cached=interaction.cached,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteView:
    """What a reply can cost, in credits. `counted` is false where the tokens of the prompt are an upper bound."""

    held_at_most: int
    expected: int
    available: int
    context: ContextView
    counted: bool

    @classmethod
    def of(cls, quote: Quote) -> QuoteView:
        """Return the view of a quote."""
        return cls(
            held_at_most=quote.held_at_most,
            expected=quote.expected,
            available=quote.available,
            context=ContextView(tokens=quote.prompt_tokens, limit=quote.limit, dropped_turns=quote.dropped_turns),
            counted=quote.is_counted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingView:
    """A reply that is being stopped."""

    id: str
    status: str = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView(InteractionView):
    """A message and its reply in a conversation. It follows `parent_id`; null begins the conversation.

    Messages that follow the same one are branches.
    """

    parent_id: str | None = None

    @classmethod
    def in_thread(cls, interaction: Interaction, parent_id: str | None) -> MessageView:
        """Return the view of an interaction that follows another one."""
        return replace(cls.of(interaction), parent_id=parent_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """Interactions, newest first. `next_cursor` gets the next ones; it is null at the end."""

    items: list[InteractionView]
    next_cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Interaction]) -> HistoryView:
        """Return the view of a page of interactions."""
        return cls(items=[InteractionView.of(item) for item in page.items], next_cursor=page.next_cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsView:
    """Conversations, most recent first."""

    items: list[ConversationView]
    next_cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Conversation]) -> ConversationsView:
        """Return the view of a page of conversations."""
        return cls(items=[ConversationView.of(item) for item in page.items], next_cursor=page.next_cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A conversation with its latest messages, oldest first. `next_cursor` gets earlier ones."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    pinned: bool = False
    messages: list[MessageView]
    next_cursor: str | None = None

    @classmethod
    def of(cls, thread: Thread) -> ThreadView:
        """Return the view of a conversation and its messages."""
        conversation, page = thread.conversation, thread.page
        return cls(
            id=conversation.id,
            title=conversation.title,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            pinned=conversation.pinned,
            messages=[MessageView.in_thread(item, thread.parents[item.id]) for item in reversed(page.items)],
            next_cursor=page.next_cursor,
        )
