"""What the chat page does: find out who asks, call a use case, show what came back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr

from chatbill.application.accounts.principal import Principal
from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Accepted, Delta, Failed
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.ids import ConversationId, InteractionId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.batches import batches
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.view import Transcript, View
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import render

GATHER_S = 0.1
"""A reply is redrawn at most this often."""
IDLE_S = 1.0
"""A reply is ended at most this long after the page that shows it has gone."""

_log = logging.getLogger(__name__)


class Chat:
    """The handlers. `gr.Request` carries the cookie; ids that come from the browser are checked by the use cases."""

    def __init__(self, use_cases: UseCases, widgets: Widgets) -> None:
        self._use_cases = use_cases
        self._widgets = widgets
        self._view = View(use_cases=use_cases, widgets=widgets)
        # What is being written in each browser tab, by Gradio's id of the tab.
        self._running: dict[str, InteractionId | None] = {}

    async def open(self, request: gr.Request) -> Updates:
        """The page was loaded: show the conversation that was used last."""
        principal = await self._view.principal(request)
        newest = await self._view.newest_conversation(principal)
        # Nothing could be written until now: it would have gone to no model, and into another conversation.
        ready: Updates = {
            self._widgets.model: gr.update(value=self._view.first_model()),
            self._widgets.box: gr.update(interactive=True),
        }
        return self._view.merged(await self._show(principal, newest), self._view.models(), ready, self._view.idle())

    async def refresh(self, request: gr.Request) -> Updates:
        """Time has passed: the balance and the models may have changed."""
        principal = await self._view.principal(request)
        return {**await self._view.identity(principal), **self._view.models()}

    async def watch(self, current: str | None, request: gr.Request) -> Updates:
        """The open conversation has a reply that another page asked for, or this one before a reload: has it ended?"""
        if (request.session_hash or "") in self._running:
            return {self._widgets.watch: gr.update(active=False)}
        shown = await self._show(await self._view.principal(request), current)
        still_written = shown[self._widgets.watch]["active"]
        return {self._widgets.watch: gr.skip()} if still_written else shown

    async def new(self, request: gr.Request) -> Updates:
        """Start a conversation; it is stored with its first message."""
        return await self._show(await self._view.principal(request), None)

    async def pick(self, current: str | None, request: gr.Request) -> Updates:
        """Open another conversation."""
        return await self._show(await self._view.principal(request), current)

    async def delete(self, current: str | None, request: gr.Request) -> Updates:
        """Delete the open conversation; None means that the person thought better of it."""
        if current is None:
            return {self._widgets.box: gr.skip()}
        principal = await self._view.principal(request)
        try:
            await self._use_cases.delete_conversation(principal, ConversationId(current))
        except ChatbillError as error:
            shown = await self._show(principal, current)
            return {
                **shown,
                self._widgets.chat: [*shown[self._widgets.chat], rendering.problem(render(error.description))],
            }
        return await self._show(principal, None)

    async def stop(self, request: gr.Request) -> Updates:
        """Stop the reply that is being written in this tab; its own handler shows how it ended."""
        principal = await self._view.principal(request)
        if running := self._running.get(request.session_hash or ""):
            await self._use_cases.stop_message(principal, running)
        return {self._widgets.stop: gr.update(interactive=False)}

    async def send(
        self, text: str, model: str | None, current: str | None, request: gr.Request
    ) -> AsyncGenerator[Updates, None]:
        """Send a message and show its reply as it is written."""
        principal = await self._view.principal(request)
        tab = request.session_hash or ""
        if tab in self._running or not text.strip():
            yield {self._widgets.box: gr.skip()}
            return
        self._running[tab] = None
        try:
            async with aclosing(self._answered(principal, tab, text, model or "", current)) as updates:
                async for update in updates:
                    yield update
        finally:
            del self._running[tab]

    async def _answered(
        self, principal: Principal, tab: str, text: str, model: str, current: str | None
    ) -> AsyncGenerator[Updates, None]:
        chat, box = self._widgets.chat, self._widgets.box
        asked = [rendering.person_said(text)]
        try:
            asked = [*(await self._view.transcript(principal, current)).messages, *asked]
            yield {chat: asked, box: "", **self._view.writing(stoppable=False)}
            message = Message(model=model, text=text, conversation_id=ConversationId(current) if current else None)
            reply = await self._use_cases.send_message(principal, message)
        except ChatbillError as error:
            yield await self._refused(principal, asked, text, rendering.refusal_text(error))
            return
        except Exception:  # noqa: BLE001 - logged with its cause; the person is told where to find it
            yield await self._refused(principal, asked, text, _puzzled())
            return
        try:
            self._running[tab] = reply.accepted.interaction_id
            async with aclosing(self._written(principal, asked, reply)) as updates:
                async for update in updates:
                    yield update
        finally:
            # Whoever left early wants no more of it. A reply that has ended is left as it is.
            await reply.abandon()

    async def _written(
        self, principal: Principal, asked: list[ChatMessage], reply: Reply | Replay
    ) -> AsyncGenerator[Updates, None]:
        """Redraw the conversation as the reply grows, and once more when it is settled."""
        chat, names, text = self._widgets.chat, self._view.names(), ""
        events = aiter(reply)
        async with aclosing(batches(events, gather_s=GATHER_S, idle_s=IDLE_S)) as gathered:
            async for batch in gathered:
                if not batch:
                    yield {chat: gr.skip()}
                for event in batch:
                    match event:
                        case Accepted():
                            listed = await self._view.conversations(principal, event.conversation_id)
                            yield self._view.merged(listed, self._view.writing(stoppable=True))
                        case Delta():
                            text += event.text
                        case end:
                            trouble = end.detail if isinstance(end, Failed) else None
                            yield {
                                chat: [*asked, *rendering.answer(end.interaction, names, trouble=trouble)],
                                **await self._settled(principal, end.interaction.conversation_id),
                            }
                            return
                if batch:
                    yield {chat: [*asked, *rendering.being_written(text, reply.accepted.model, names)]}

    async def _settled(self, principal: Principal, conversation_id: str) -> Updates:
        listed = await self._view.conversations(principal, conversation_id)
        return self._view.merged(await self._view.identity(principal), listed, self._view.idle())

    async def _refused(self, principal: Principal, asked: list[ChatMessage], text: str, why: str) -> Updates:
        """The message was not taken: say why, and give the words back to be sent again."""
        return {
            self._widgets.chat: [*asked, rendering.problem(why)],
            self._widgets.box: text,
            **await self._view.identity(principal),
            **self._view.models(),
            **self._view.idle(),
        }

    async def _show(self, principal: Principal, current: str | None) -> Updates:
        """One conversation, in a page that is up to date."""
        try:
            said = await self._view.transcript(principal, current)
        except ChatbillError as error:
            said, current = Transcript([rendering.problem(render(error.description))]), None
        return {
            self._widgets.chat: said.messages,
            self._widgets.watch: gr.update(active=said.is_being_written),
            **await self._view.conversations(principal, current),
            **await self._view.identity(principal),
        }


def _puzzled() -> str:
    """Words for an error nobody expected, with a reference that leads to it in the log."""
    reference = secrets.token_hex(4)
    _log.exception("web error %s", reference)
    return f"Something went wrong here, and nothing was charged. If it stays so, tell the operator: error {reference}."
