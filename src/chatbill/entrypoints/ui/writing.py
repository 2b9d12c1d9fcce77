"""The event handlers for replies: send a message, follow its reply, and stop it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.chat.events import Accepted, Delta, Event, Failed
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError
from chatbill.domain.shared.ids import ConversationId, ModelId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.batches import batches
from chatbill.entrypoints.ui.markdown import LiveMarkdown
from chatbill.entrypoints.ui.rendering import ChatMessage
from chatbill.entrypoints.ui.tabs import Follower, Tab, Tabs
from chatbill.entrypoints.ui.view import Transcript, View, conversation_of, text_of
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import render

BATCH_S = 0.1
"""A reply is redrawn at most this often."""
IDLE_S = 1.0
"""A handler of a page that was closed ends at most this long after."""

_log = logging.getLogger(__name__)


class Writing:
    """The handlers. A reply goes on without its page: a tab that leaves it only stops following it."""

    def __init__(self, use_cases: UseCases, widgets: Widgets, tabs: Tabs) -> None:
        self._use_cases = use_cases
        self._widgets = widgets
        self._view = View(use_cases=use_cases, widgets=widgets)
        self._tabs = tabs

    async def watch(self, named: object, request: gr.Request) -> AsyncGenerator[Updates, None]:
        """Follow the reply that is being written in the open conversation. Any tab or device may have asked for it."""
        principal = await self._view.principal(request)
        tab, current = self._tabs[request.session_hash], conversation_of(named)
        # An event that was sent before the tab showed something else is late.
        if current is None or tab.follower or tab.shown not in {None, current}:
            yield {self._widgets.watch: gr.skip()}
            return
        async with aclosing(self._until_left(tab, partial(self._follow, principal, tab, current))) as updates:
            async for update in updates:
                yield update

    async def send(
        self, text: object, model: object, named: object, request: gr.Request
    ) -> AsyncGenerator[Updates, None]:
        """Send a message, and show its reply while it is written."""
        principal = await self._view.principal(request)
        tab, message = self._tabs[request.session_hash], text_of(text)
        if tab.follower or not message.strip():
            yield {self._widgets.box: gr.skip()}
            return
        wanted = Message(model=text_of(model), text=message, conversation_id=conversation_of(named))
        async with aclosing(self._until_left(tab, partial(self._send, principal, tab, wanted))) as updates:
            async for update in updates:
                yield update

    async def _until_left(
        self, tab: Tab, show: Callable[[Follower], AsyncGenerator[Updates, None]]
    ) -> AsyncGenerator[Updates, None]:
        with tab.following() as follower:
            async with aclosing(show(follower)) as updates:
                async for update in updates:
                    yield update
            if follower.left.done():
                # Gradio sends the last update once more at the end, after what the tab shows then.
                yield {self._widgets.chat: gr.skip()}

    async def _send(
        self, principal: Principal, tab: Tab, message: Message, follower: Follower
    ) -> AsyncGenerator[Updates, None]:
        chat, box = self._widgets.chat, self._widgets.box
        messages: list[ChatMessage] = []
        try:
            messages = (await self._view.transcript(principal, message.conversation_id)).messages
            # A message that breaks a rule stays in the text box and is not shown as one that was sent.
            self._use_cases.chat.send_message.drafts.check(message)
            messages = [*messages, rendering.user_message(message.text)]
            yield {chat: messages, box: "", **self._view.writing(stoppable=False)}
            reply = await self._use_cases.chat.send_message(principal, message)
        except ChatbillError as error:
            yield await self._rejected(principal, messages, message.text, rendering.error_text(error))
            return
        except Exception:  # noqa: BLE001 - logged with its cause; the user is told where to find it
            yield await self._rejected(principal, messages, message.text, _unexpected_error_text())
            return
        accepted = reply.accepted
        follower.interaction_id = accepted.interaction_id
        if follower.left.done():
            return
        tab.shows(accepted.conversation_id, accepted.interaction_id)
        listed = await self._listed(principal, accepted.conversation_id)
        if not self._tabs.may_follow(principal.user_id):
            watch = {self._widgets.watch: gr.update(active=True)}
            yield self._view.merged(listed, self._view.writing(stoppable=True), watch)
            return
        yield self._view.merged(listed, self._view.writing(stoppable=True))
        async with aclosing(self._show_reply(principal, messages, follower, aiter(reply), accepted.model)) as updates:
            async for update in updates:
                yield update

    async def _follow(
        self, principal: Principal, tab: Tab, current: ConversationId, follower: Follower
    ) -> AsyncGenerator[Updates, None]:
        try:
            transcript = await self._view.transcript(principal, current)
        except ChatbillError:
            transcript = Transcript([])
        running = transcript.running
        if running and self._tabs.may_follow(principal.user_id):
            follower.interaction_id = running.id
            events = await self._use_cases.chat.follow_reply(principal, running.id)
            shown = self._show_reply(principal, transcript.messages, follower, events, running.model)
            async with aclosing(shown) as updates:
                async for update in updates:
                    yield update
            if follower.left.done():
                return
            # Another reply may be written in the same conversation.
            transcript = await self._view.transcript(principal, current)
        elif running:
            yield {self._widgets.watch: gr.skip()}
            return
        tab.shows(current, transcript.newest)
        yield await self._view.shown(principal, current, transcript, listed=True)

    async def _show_reply(
        self,
        principal: Principal,
        messages: list[ChatMessage],
        follower: Follower,
        events: AsyncIterator[Event],
        model: ModelId,
    ) -> AsyncGenerator[Updates, None]:
        """Redraw the conversation while the reply grows, and once more when it is settled."""
        chat, names, text = self._widgets.chat, self._view.names(), ""
        live = LiveMarkdown()
        async with aclosing(batches(events, gather_s=BATCH_S, idle_s=IDLE_S, until=follower.left)) as gathered:
            async for batch in gathered:
                if not batch:
                    yield {chat: gr.skip()}
                for event in batch:
                    match event:
                        case Accepted():
                            pass
                        case Delta():
                            text += event.text
                        case end:
                            failure = render(end.description) if isinstance(end, Failed) else None
                            shown = partial(rendering.reply_messages, end.interaction, names, failure=failure)
                            # The last update has all that the earlier ones had: of updates that come together,
                            # Gradio's page may show only the last.
                            yield self._view.merged(
                                {chat: [*messages, *await asyncio.to_thread(shown)]},
                                await self._listed(principal, end.interaction.conversation_id),
                                await self._view.identity(principal),
                                self._view.idle(),
                            )
                            return
                if batch:
                    shown = partial(rendering.partial_reply, text, model, names, live)
                    yield {chat: [*messages, *await asyncio.to_thread(shown)]}

    async def _listed(self, principal: Principal, current: ConversationId) -> Updates:
        return {**await self._view.conversations(principal, current), **self._view.opened(current)}

    async def _rejected(self, principal: Principal, messages: list[ChatMessage], text: str, why: str) -> Updates:
        """Show why a message was not accepted, and put its text back into the text box."""
        return {
            self._widgets.chat: [*messages, rendering.error_message(why)],
            self._widgets.box: text,
            **await self._view.identity(principal),
            **self._view.models(),
            **self._view.idle(),
        }

    async def stop(self, named: object, request: gr.Request) -> Updates:
        """Stop the reply that is being written in the open conversation. Its follower shows how it ended."""
        principal = await self._view.principal(request)
        follower, current = self._tabs[request.session_hash].follower, conversation_of(named)
        running = follower.interaction_id if follower else None
        if running is None and current:
            interaction = (await self._view.transcript(principal, current)).running
            running = interaction.id if interaction else None
        if running:
            await self._use_cases.chat.stop_message(principal, running)
        return {self._widgets.stop: gr.update(interactive=False)}


def _unexpected_error_text() -> str:
    """Log the current exception, and return a message with a reference that finds it in the log."""
    reference = secrets.token_hex(4)
    _log.exception("page_failed", extra={"reference": reference})
    return f"Something went wrong here, and nothing was charged. If it stays so, tell the operator: error {reference}."
