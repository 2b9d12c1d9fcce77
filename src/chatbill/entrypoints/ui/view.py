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
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ConversationId, ModelId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.cookies import token_of
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import render

TRUNCATED = f"Only the last {MAX_PAGE} messages are shown here."


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of a conversation, and whether a reply is being written."""

    messages: list[ChatMessage]
    is_being_written: bool = False


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

    async def conversations(self, principal: Principal, current: str | None) -> Updates:
        """Return the list of conversations, most recent first, with the current one selected."""
        page = await self.use_cases.chat.list_conversations(principal, limit=MAX_PAGE)
        choices = rendering.conversation_choices(page.items)
        known = current if any(current == conversation.id for conversation in page.items) else None
        return {
            self.widgets.conversations: gr.update(choices=choices, value=known),
            self.widgets.delete: gr.update(visible=known is not None),
        }

    async def newest_conversation(self, principal: Principal) -> str | None:
        """Return the id of the most recent conversation."""
        page = await self.use_cases.chat.list_conversations(principal, limit=1)
        return page.items[0].id if page.items else None

    async def transcript(self, principal: Principal, current: str | None) -> Transcript:
        """Return the messages of a conversation. Raises `NotFound` for a conversation of another user."""
        if current is None:
            return Transcript([])
        thread = await self.use_cases.chat.read_conversation(principal, ConversationId(current))
        # In a thread, because many long replies take longer than other users should wait.
        messages = await asyncio.to_thread(rendering.transcript, thread.page.items, self.names())
        is_being_written = any(interaction.outcome is Outcome.RUNNING for interaction in thread.page.items)
        if thread.page.next_cursor:
            messages = [rendering.note(TRUNCATED), *messages]
        return Transcript(messages, is_being_written)

    def writing(self, *, stoppable: bool) -> Updates:
        """Return the controls while a reply is written: the user can stop it once it is accepted, and nothing else."""
        w = self.widgets
        return {
            w.send: gr.update(visible=not stoppable, interactive=False),
            w.stop: gr.update(visible=stoppable, interactive=True),
            w.new_chat: gr.update(interactive=False),
            w.conversations: gr.update(interactive=False),
            w.delete: gr.update(interactive=False),
            w.watch: gr.update(active=False),
        }

    def idle(self) -> Updates:
        """Return the controls for the next message."""
        w = self.widgets
        return {
            w.send: gr.update(visible=True, interactive=True),
            w.stop: gr.update(visible=False),
            w.new_chat: gr.update(interactive=True),
            w.conversations: gr.update(interactive=True),
            w.delete: gr.update(interactive=True),
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
