"""The event handlers of the chat page: each authenticates the user, calls a use case and shows the result."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Accepted, Delta, Failed
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.ids import ConversationId, InteractionId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.batches import batches
from chatbill.entrypoints.ui.markdown import LiveMarkdown
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.view import Transcript, View
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import render

BATCH_S = 0.1
"""A reply is redrawn at most this often."""
IDLE_S = 1.0
"""A reply is stopped at most this long after its page was closed."""

_log = logging.getLogger(__name__)


class Chat:
    """The handlers. `gr.Request` has the cookie. The use cases check the ids that come from the browser."""

    def __init__(self, use_cases: UseCases, widgets: Widgets) -> None:
        self._use_cases = use_cases
        self._widgets = widgets
        self._view = View(use_cases=use_cases, widgets=widgets)
        # The reply that is being written in each browser tab, by Gradio's id of the tab.
        self._running: dict[str, InteractionId | None] = {}

    async def open(self, request: gr.Request) -> Updates:
        """Show the most recent conversation when the page is loaded."""
        principal = await self._view.principal(request)
        newest = await self._view.newest_conversation(principal)
        # The text box is enabled only now: an earlier message would have had no model and no conversation.
        ready: Updates = {
            self._widgets.model: gr.update(value=self._view.first_model()),
            self._widgets.box: gr.update(interactive=True),
        }
        return self._view.merged(await self._show(principal, newest), self._view.models(), ready, self._view.idle())

    async def refresh(self, request: gr.Request) -> Updates:
        """Refresh the balance and the models."""
        principal = await self._view.principal(request)
        return {**await self._view.identity(principal), **self._view.models()}

    async def watch(self, current: str | None, request: gr.Request) -> Updates:
        """Wait for a reply that was requested in another tab or before a reload, and show it when it has ended."""
        if (request.session_hash or "") in self._running:
            return {self._widgets.watch: gr.update(active=False)}
        shown = await self._show(await self._view.principal(request), current)
        is_unfinished = shown[self._widgets.watch]["active"]
        return {self._widgets.watch: gr.skip()} if is_unfinished else shown

    async def new(self, request: gr.Request) -> Updates:
        """Start a conversation. It is stored with its first message."""
        return await self._show(await self._view.principal(request), None)

    async def pick(self, current: str | None, request: gr.Request) -> Updates:
        """Open a conversation."""
        return await self._show(await self._view.principal(request), current)

    async def delete(self, current: str | None, request: gr.Request) -> Updates:
        """Delete the open conversation. None means that the user cancelled."""
        if current is None:
            return {self._widgets.box: gr.skip()}
        principal = await self._view.principal(request)
        try:
            await self._use_cases.chat.delete_conversation(principal, ConversationId(current))
        except ChatbillError as error:
            shown = await self._show(principal, current)
            return {
                **shown,
                self._widgets.chat: [*shown[self._widgets.chat], rendering.error_message(render(error.description))],
            }
        return await self._show(principal, None)

    async def stop(self, request: gr.Request) -> Updates:
        """Stop the reply that is being written in this tab. The handler `send` shows how it ended."""
        principal = await self._view.principal(request)
        if running := self._running.get(request.session_hash or ""):
            await self._use_cases.chat.stop_message(principal, running)
        return {self._widgets.stop: gr.update(interactive=False)}

    async def send(
        self, text: str, model: str | None, current: str | None, request: gr.Request
    ) -> AsyncGenerator[Updates, None]:
        """Send a message, and show its reply while it is written."""
        principal = await self._view.principal(request)
        tab = request.session_hash or ""
        if tab in self._running or not text.strip():
            yield {self._widgets.box: gr.skip()}
            return
        self._running[tab] = None
        try:
            async with aclosing(self._send_message(principal, tab, text, model or "", current)) as updates:
                async for update in updates:
                    yield update
        finally:
            del self._running[tab]

    async def _send_message(
        self, principal: Principal, tab: str, text: str, model: str, current: str | None
    ) -> AsyncGenerator[Updates, None]:
        chat, box = self._widgets.chat, self._widgets.box
        messages = [rendering.user_message(text)]
        try:
            messages = [*(await self._view.transcript(principal, current)).messages, *messages]
            yield {chat: messages, box: "", **self._view.writing(stoppable=False)}
            message = Message(model=model, text=text, conversation_id=ConversationId(current) if current else None)
            reply = await self._use_cases.chat.send_message(principal, message)
        except ChatbillError as error:
            yield await self._rejected(principal, messages, text, rendering.error_text(error))
            return
        except Exception:  # noqa: BLE001 - logged with its cause; the user is told where to find it
            yield await self._rejected(principal, messages, text, _unexpected_error_text())
            return
        try:
            self._running[tab] = reply.accepted.interaction_id
            async with aclosing(self._show_reply(principal, messages, reply)) as updates:
                async for update in updates:
                    yield update
        finally:
            # A closed page needs no more of the reply. A reply that has ended is left unchanged.
            await reply.abandon()

    async def _show_reply(
        self, principal: Principal, messages: list[ChatMessage], reply: Reply | Replay
    ) -> AsyncGenerator[Updates, None]:
        """Redraw the conversation while the reply grows, and once more when it is settled."""
        chat, names, text = self._widgets.chat, self._view.names(), ""
        live = LiveMarkdown()
        events = aiter(reply)
        async with aclosing(batches(events, gather_s=BATCH_S, idle_s=IDLE_S)) as gathered:
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
                            failure = render(end.description) if isinstance(end, Failed) else None
                            shown = partial(rendering.reply_messages, end.interaction, names, failure=failure)
                            yield {
                                chat: [*messages, *await asyncio.to_thread(shown)],
                                **await self._settled(principal, end.interaction.conversation_id),
                            }
                            return
                if batch:
                    shown = partial(rendering.partial_reply, text, reply.accepted.model, names, live)
                    yield {chat: [*messages, *await asyncio.to_thread(shown)]}

    async def _settled(self, principal: Principal, conversation_id: str) -> Updates:
        listed = await self._view.conversations(principal, conversation_id)
        return self._view.merged(await self._view.identity(principal), listed, self._view.idle())

    async def _rejected(self, principal: Principal, messages: list[ChatMessage], text: str, why: str) -> Updates:
        """Show why a message was not accepted, and put its text back into the text box."""
        return {
            self._widgets.chat: [*messages, rendering.error_message(why)],
            self._widgets.box: text,
            **await self._view.identity(principal),
            **self._view.models(),
            **self._view.idle(),
        }

    async def _show(self, principal: Principal, current: str | None) -> Updates:
        """Show a conversation, and refresh the rest of the page."""
        try:
            transcript = await self._view.transcript(principal, current)
        except ChatbillError as error:
            transcript, current = Transcript([rendering.error_message(render(error.description))]), None
        return {
            self._widgets.chat: transcript.messages,
            self._widgets.watch: gr.update(active=transcript.is_being_written),
            **await self._view.conversations(principal, current),
            **await self._view.identity(principal),
        }


def _unexpected_error_text() -> str:
    """Log the current exception, and return a message with a reference that finds it in the log."""
    reference = secrets.token_hex(4)
    _log.exception("web error %s", reference)
    return f"Something went wrong here, and nothing was charged. If it stays so, tell the operator: error {reference}."
