"""The view of the chat and its fragments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

from chatbill.application.assembly import UseCases
from chatbill.application.chat.read_branch import BranchTurn
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.chat.conversations import Conversation, title_of
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId, InteractionId
from chatbill.entrypoints.ui.chat.rendering import ModelChoice, TurnView, days_of, price_text, window_text
from chatbill.entrypoints.ui.live.hub import Hub
from chatbill.entrypoints.ui.shared.visits import NO_STORE, Site, Visit
from chatbill.entrypoints.ui.shell.config import WebConfig
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.parameters import MAX_LINE_CHARS, could_be_id

CHATS: Final = 40
MOST_CHATS: Final = 1_000
"""The most conversations that are read again when the list changes."""
"""Conversations in a page of the list."""


class ChatPages:
    """Renders conversations. The use cases check the ids that come from the browser."""

    def __init__(self, use_cases: UseCases, hub: Hub, *, temporary_chats: bool) -> None:
        self._temporary_chats = temporary_chats
        self._use_cases = use_cases
        self._chat = use_cases.chat
        self._hub = hub
        self._windows = {offer.model.id: offer.model.context_tokens for offer in self._chat.list_models()}
        self._names = {offer.model.id: offer.model.name for offer in self._chat.list_models()}

    async def start(self, visit: Visit) -> Response:
        """Show the beginning of a conversation."""
        return visit.html(
            "chat/view.html",
            title=_("New chat"),
            conversation=None,
            temporary_chats=self._temporary_chats,
            turns=(),
            older=False,
            about=None,
            branched=False,
            starters=_starters(),
            model="",
            **self._models(),
            **await self._list(visit),
        )

    async def conversation(self, visit: Visit) -> Response:
        """Show a conversation: the branch that was continued last, or the one that the address names."""
        found = await self._chat.read_branch(
            visit.principal, _conversation(visit.path("conversation_id")), at=visit.asked("at") or None
        )
        last = found.turns[-1].interaction if found.turns else None
        return visit.html(
            "chat/view.html",
            title=found.conversation.title,
            conversation=found.conversation,
            temporary_chats=False,
            turns=await self._shown(visit, found.turns),
            older=found.has_older,
            about=self._about(found.spent, last),
            branched=found.conversation.branched,
            starters=(),
            model=last.model if last else "",
            **self._models(),
            **await self._list(visit),
        )

    async def older(self, visit: Visit) -> Response:
        """Show the turns before the one that the address names."""
        before = visit.asked("before")
        id_ = _conversation(visit.path("conversation_id"))
        found = await self._chat.read_branch(visit.principal, id_, before=before)
        turns = await self._shown(visit, found.turns)
        values = {"turns": turns, "older": found.has_older, "conversation": found.conversation}
        return visit.html("chat/turns.html", **values, **self._models())

    async def turn(self, visit: Visit) -> Response:
        """Return the HTML of a turn as it is now, and what is said about the conversation."""
        return JSONResponse(await self.turn_json(visit, InteractionId(visit.path("id"))), headers=NO_STORE)

    async def turn_json(self, visit: Visit, interaction_id: InteractionId) -> dict[str, str]:
        """Return a turn for the script of the page. A temporary one has its text for a short time after its end."""
        if not could_be_id(interaction_id):
            raise NotFound("interaction")
        turn = await self._chat.read_branch.turn(visit.principal, interaction_id)
        spent = await self._chat.read_branch.spent(visit.principal, turn.interaction.conversation_id)
        (shown,) = await self._shown(visit, [turn])
        about = self._about(spent, turn.interaction)
        kept = self._hub.kept(turn.interaction) or {}
        return {
            **{name: kept[name] for name in ("reply", "html", "outcome") if name in kept},
            "title": title_of(turn.interaction.prompt),
            "id": turn.interaction.id,
            "conversation": turn.interaction.conversation_id,
            "turn": visit.text("chat/turn.html", turn=shown, **self._models()),
            "about": "" if turn.interaction.temporary else visit.text("chat/about.html", about=about),
        }

    async def models(self, visit: Visit) -> Response:
        """Show the menu of models."""
        return visit.html("chat/models.html", model=visit.asked("model"), **self._models())

    async def conversations(self, visit: Visit) -> Response:
        """Show a page of the list of conversations."""
        return visit.html("chat/list.html", **await self._list(visit))

    async def text(self, visit: Visit) -> Response:
        """Return a reply as the model wrote it."""
        turn = await self._chat.read_branch.turn(visit.principal, InteractionId(visit.path("id")))
        return PlainTextResponse(turn.interaction.reply, headers=NO_STORE)

    async def price(self, visit: Visit) -> Response:
        """Explain the price of a reply."""
        turn = await self._chat.read_branch.turn(visit.principal, InteractionId(visit.path("id")))
        interaction = turn.interaction
        return visit.html(
            "chat/price.html",
            interaction=interaction,
            price=price_text(interaction.price),
            entry=await self._entry_of(visit, interaction),
        )

    async def _shown(self, visit: Visit, turns: Sequence[BranchTurn]) -> list[TurnView]:
        """Render turns in a thread, because long texts take longer than other people should wait."""
        growing = [await self._hub.so_far(turn.interaction) if turn.interaction.is_running else None for turn in turns]
        back = await self._use_cases.billing.read_refunds(visit.principal, [turn.interaction for turn in turns])
        return await asyncio.to_thread(
            lambda: [
                TurnView.of(turn, self._names, grown, back.get(turn.interaction.id))
                for turn, grown in zip(turns, growing, strict=True)
            ]
        )

    def _models(self) -> dict[str, Any]:
        choices = [ModelChoice.of(offer) for offer in self._chat.list_models()]
        return {"models": choices, "troubles": [each for each in choices if each.trouble]}

    def _about(self, spent: int, last: Interaction | None) -> dict[str, Any]:
        window = window_text(last, self._windows.get(last.model)) if last else ""
        return {"spent": spent, "window": window}

    async def _list(self, visit: Visit) -> dict[str, Any]:
        sought = visit.asked("q").strip()[:MAX_LINE_CHARS]
        wanted, cursor = _count(visit.asked("count")), visit.asked("cursor") or None
        items: list[Conversation] = []
        while True:
            limit = min(MAX_PAGE, wanted - len(items))
            page = await self._chat.list_conversations(visit.principal, text=sought or None, limit=limit, cursor=cursor)
            items += page.items
            cursor = page.next_cursor
            if cursor is None or len(items) >= wanted:
                break
        days, last = days_of(items, datetime.now(UTC), visit.asked("day")[:MAX_LINE_CHARS])
        return {"days": days, "last_day": last, "next_page": cursor, "sought": sought}

    async def _entry_of(self, visit: Visit, interaction: Interaction) -> LedgerEntry | None:
        """Return the charge of a reply. It has the time at which the reply ended."""
        if not interaction.credits_charged or interaction.finished_at is None:
            return None
        at = Period(start=interaction.finished_at, end=interaction.finished_at + timedelta(milliseconds=1))
        page = await self._use_cases.billing.list_transactions(visit.principal, kind=EntryKind.CHARGE, period=at)
        return next((entry for entry in page.items if entry.cause.subject == interaction.subject), None)


def chat_views(site: Site, hub: Hub, config: WebConfig) -> ChatPages:
    """Add the view of a new conversation and of one that exists, and their fragments."""
    pages = ChatPages(site.use_cases, hub, temporary_chats=config.temporary_chats)
    site.view("", pages.start)
    site.view("c/{conversation_id}", pages.conversation)
    site.get("/web/chat/conversations", pages.conversations)
    site.get("/web/chat/conversations/{conversation_id}/older", pages.older)
    site.get("/web/chat/models", pages.models)
    site.get("/web/chat/turns/{id}", pages.turn)
    site.get("/web/chat/turns/{id}/price", pages.price)
    site.get("/web/chat/turns/{id}/text", pages.text)
    return pages


def _conversation(id_: str) -> ConversationId:
    if not could_be_id(id_):
        raise NotFound("conversation")
    return ConversationId(id_)


def _count(asked: str) -> int:
    """Return how many conversations are listed: as many as the page shows already, within bounds."""
    is_number = asked.isascii() and asked.isdecimal() and len(asked) <= len(str(MOST_CHATS))
    return max(CHATS, min(MOST_CHATS, int(asked))) if is_number else CHATS


def _starters() -> tuple[tuple[str, str], ...]:
    """Return the names and texts of three messages to begin with."""
    return (
        (_("Explain something"), _("Explain how tides work, in three short paragraphs.")),
        (_("Write a text"), _("Write a friendly e-mail that moves a meeting from Monday to Tuesday.")),
        (_("Help me decide"), _("I want to learn a language. Ask me three questions, then suggest one.")),
    )
