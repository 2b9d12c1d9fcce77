"""The parts of the chat page as they should look now, made from what the use cases say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from chatbill.application.accounts.principal import Principal
from chatbill.application.assembly import UseCases
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ConversationId, ModelId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.session import COOKIE
from chatbill.entrypoints.ui.widgets import Updates, Widgets

EARLIER = f"Only the last {MAX_PAGE} messages are shown here."


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a conversation, and whether more of it is on its way."""

    messages: list[ChatMessage]
    is_being_written: bool = False


def first_model(offers: Sequence[ModelOffer]) -> ModelId | None:
    """The first model that can answer or, where none can, the first."""
    able = [offer.model.id for offer in offers if offer.available] or [offer.model.id for offer in offers]
    return able[0] if able else None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Reads for one request at a time; keeps nothing."""

    use_cases: UseCases
    widgets: Widgets

    async def principal(self, request: gr.Request) -> Principal:
        """Whose cookie came with this event. The front door has asked too: this catches what ended since."""
        cookies = request.request.cookies if request.request else {}
        try:
            return await self.use_cases.accounts.authenticate(cookies.get(COOKIE, ""))
        except Unauthenticated as error:
            raise gr.Error(str(error), print_exception=False) from error

    async def identity(self, principal: Principal) -> Updates:
        """The name and the balance."""
        account = await self.use_cases.accounts.read_account(principal)
        return {self.widgets.identity: rendering.identity(account)}

    def models(self) -> Updates:
        """The models as they stand now; looked at again soon while one of them cannot answer."""
        offers = self.use_cases.chat.list_models()
        choices = [(rendering.model_label(offer), offer.model.id) for offer in offers]
        waiting = not all(offer.available for offer in offers)
        return {self.widgets.model: gr.update(choices=choices), self.widgets.ticker: gr.update(active=waiting)}

    def first_model(self) -> str | None:
        """The model that is picked for somebody who has not picked one."""
        return first_model(self.use_cases.chat.list_models())

    def names(self) -> rendering.Names:
        """What the models are called."""
        return {offer.model.id: offer.model.name for offer in self.use_cases.chat.list_models()}

    async def conversations(self, principal: Principal, current: str | None) -> Updates:
        """The list, the one used last first, with the current one marked."""
        page = await self.use_cases.chat.list_conversations(principal, limit=MAX_PAGE)
        choices = rendering.conversation_choices(page.items)
        known = current if any(current == conversation.id for conversation in page.items) else None
        return {
            self.widgets.conversations: gr.update(choices=choices, value=known),
            self.widgets.delete: gr.update(visible=known is not None),
        }

    async def newest_conversation(self, principal: Principal) -> str | None:
        """The conversation that was used last."""
        page = await self.use_cases.chat.list_conversations(principal, limit=1)
        return page.items[0].id if page.items else None

    async def transcript(self, principal: Principal, current: str | None) -> Transcript:
        """What was said; raises `NotFound` for anybody else's conversation."""
        if current is None:
            return Transcript([])
        thread = await self.use_cases.chat.read_conversation(principal, ConversationId(current))
        said = rendering.transcript(thread.page.items, self.names())
        is_being_written = any(interaction.outcome is Outcome.RUNNING for interaction in thread.page.items)
        return Transcript([rendering.aside(EARLIER), *said] if thread.page.next_cursor else said, is_being_written)

    def writing(self, *, stoppable: bool) -> Updates:
        """A reply is on its way: nothing else is sent or opened here. Once accepted, it can be stopped."""
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
        """Ready for the next message."""
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
        """One answer from several; two that change the same component are put together."""
        merged: Updates = {}
        for part in parts:
            for component, update in part.items():
                both = isinstance(update, dict) and isinstance(merged.get(component), dict)
                merged[component] = {**merged[component], **update} if both else update
        return merged
