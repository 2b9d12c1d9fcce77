"""Reads the current state of the chat page from the use cases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ConversationId, InteractionId, ModelId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.cookies import token_of
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.widgets import NEW, Updates, Widgets
from chatbill.entrypoints.web.parameters import could_be_id
from chatbill.entrypoints.web.texts import render

TRUNCATED = "Only the newest part of this conversation is shown here."


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of a conversation up to the reply that is being written, if there is one.

    `newest` is its last interaction, and `running` the one that is being written.
    """

    messages: list[ChatMessage]
    newest: InteractionId | None = None
    running: Interaction | None = None


def text_of(value: object) -> str:
    """Return a text that a page has sent; "" for anything else."""
    return value if isinstance(value, str) else ""


def conversation_of(named: object) -> ConversationId | None:
    """Return the conversation that an address names; None for a new one. It may not exist."""
    text = text_of(named)
    return ConversationId(text) if text != NEW and could_be_id(text) else None


def first_model(offers: Sequence[ModelOffer]) -> ModelId | None:
    """Return the first available model, or the first model if none is available."""
    available = [offer.model.id for offer in offers if offer.available] or [offer.model.id for offer in offers]
    return available[0] if available else None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Makes updates of the page. It keeps no state between requests."""

    use_cases: UseCases
    widgets: Widgets

    async def principal(self, request: gr.Request) -> Principal:
        """Return the user of the cookie. The middleware checked it before; the session may have ended since."""
        token = token_of(request.request.scope) if request.request else ""
        try:
            return await self.use_cases.accounts.web_authenticate(token)
        except Unauthenticated as error:
            raise gr.Error(render(error.description), print_exception=False) from error

    async def identity(self, principal: Principal) -> Updates:
        """Return the name and the balance."""
        account = await self.use_cases.accounts.read_account(principal)
        return {self.widgets.identity: rendering.identity(account)}

    def models(self) -> Updates:
        """Return the models and their availability. The page asks again soon while one of them is not available."""
        offers = self.use_cases.chat.list_models()
        choices = [(rendering.model_label(offer), offer.model.id) for offer in offers]
        waiting = not all(offer.available for offer in offers)
        return {self.widgets.model: gr.update(choices=choices), self.widgets.ticker: gr.update(active=waiting)}

    def first_model(self) -> str | None:
        """Return the model that is selected by default."""
        return first_model(self.use_cases.chat.list_models())

    def names(self) -> rendering.Names:
        """Return the names of the models by id."""
        return {offer.model.id: offer.model.name for offer in self.use_cases.chat.list_models()}

    async def conversations(self, principal: Principal, current: str | None, cursor: str | None = None) -> Updates:
        """Return a page of the list of conversations, most recent first, with the current one selected.

        Raises `InvalidRequest` for a cursor that was not made here.
        """
        page = await self.use_cases.chat.list_conversations(principal, limit=MAX_PAGE, cursor=cursor)
        choices = rendering.conversation_choices(page.items)
        known = current if any(current == conversation.id for conversation in page.items) else None
        return {
            self.widgets.conversations: gr.update(choices=choices, value=known),
            self.widgets.older: gr.update(visible=page.next_cursor is not None),
            self.widgets.newest: gr.update(visible=cursor is not None),
            self.widgets.next_page: page.next_cursor or "",
        }

    def opened(self, current: str | None) -> Updates:
        """Return which conversation is open. It can be deleted if it is not a new one."""
        return {self.widgets.current: current or NEW, self.widgets.delete: gr.update(visible=current is not None)}

    async def newest_conversation(self, principal: Principal) -> ConversationId | None:
        """Return the id of the most recent conversation."""
        page = await self.use_cases.chat.list_conversations(principal, limit=1)
        return page.items[0].id if page.items else None

    async def transcript(self, principal: Principal, current: ConversationId | None) -> Transcript:
        """Return the messages of a conversation. Raises `NotFound` for a conversation of another user."""
        if current is None:
            return Transcript([])
        thread = await self.use_cases.chat.read_conversation(principal, current)
        items = thread.page.items
        running = next((interaction for interaction in items if interaction.is_running), None)
        # What is being written comes last, so that it can grow.
        others = [interaction for interaction in items if interaction is not running]
        # In a thread, because many long replies take longer than other users should wait.
        messages = await asyncio.to_thread(rendering.transcript, others, self.names())
        if running:
            messages.append(rendering.user_message(running.prompt))
        if thread.page.next_cursor:
            messages = [rendering.note(TRUNCATED), *messages]
        return Transcript(messages, items[0].id if items else None, running)

    async def shown(
        self, principal: Principal, current: ConversationId | None, transcript: Transcript, *, listed: bool = False
    ) -> Updates:
        """Return a conversation, the balance, and the list of conversations unless it is `listed` there already."""
        messages, running = transcript.messages, transcript.running
        if running:
            messages = [*messages, *rendering.partial_reply("", running.model, self.names())]
        watch = {self.widgets.watch: gr.update(active=running is not None)}
        return self.merged(
            {self.widgets.chat: messages},
            self.opened(current),
            {} if listed else await self.conversations(principal, current),
            await self.identity(principal),
            self.writing(stoppable=True) if running else self.idle(),
            watch,
        )

    def writing(self, *, stoppable: bool) -> Updates:
        """Return the controls while a reply is written: the user can stop it once it is accepted."""
        w = self.widgets
        return {
            w.send: gr.update(visible=not stoppable, interactive=False),
            w.stop: gr.update(visible=stoppable, interactive=True),
            w.delete: gr.update(interactive=False),
            w.watch: gr.update(active=False),
        }

    def idle(self) -> Updates:
        """Return the controls for the next message."""
        w = self.widgets
        return {
            w.send: gr.update(visible=True, interactive=True),
            w.stop: gr.update(visible=False),
            w.delete: gr.update(interactive=True),
            w.watch: gr.update(active=False),
        }

    @staticmethod
    def merged(*parts: Updates) -> Updates:
        """Merge updates into one; two updates of the same component are combined."""
        merged: Updates = {}
        for part in parts:
            for component, update in part.items():
                both = isinstance(update, dict) and isinstance(merged.get(component), dict)
                merged[component] = {**merged[component], **update} if both else update
        return merged
