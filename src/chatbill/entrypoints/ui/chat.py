"""The event handlers for conversations: each authenticates the user, calls a use case and shows the result."""

from __future__ import annotations

import gradio as gr

from chatbill.application.assembly import UseCases
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import ChatbillError, InvalidRequest, NotFound
from chatbill.domain.shared.ids import ConversationId
from chatbill.entrypoints.ui import rendering
from chatbill.entrypoints.ui.tabs import Tabs
from chatbill.entrypoints.ui.view import Transcript, View, conversation_of, text_of
from chatbill.entrypoints.ui.widgets import Updates, Widgets
from chatbill.entrypoints.web.texts import render

NOT_YOURS = (
    "This conversation is not among your conversations: it was deleted, or it belongs to another account. "
    "What you write now begins a new one."
)


class Chat:
    """The handlers. `gr.Request` has the cookie. The use cases check the ids that come from the browser."""

    def __init__(self, use_cases: UseCases, widgets: Widgets, tabs: Tabs) -> None:
        self._use_cases = use_cases
        self._widgets = widgets
        self._view = View(use_cases=use_cases, widgets=widgets)
        self._tabs = tabs

    async def open(self, named: object, request: gr.Request) -> Updates:
        """Show the conversation that the address names when the page is loaded, or else the most recent one."""
        principal = await self._view.principal(request)
        current = conversation_of(named) if text_of(named) else await self._view.newest_conversation(principal)
        # The text box is enabled only now: an earlier message would have had no model and no conversation.
        ready: Updates = {
            self._widgets.model: gr.update(value=self._view.first_model()),
            self._widgets.box: gr.update(interactive=True),
        }
        return self._view.merged(await self._show(request, principal, current), self._view.models(), ready)

    async def go(self, named: object, request: gr.Request) -> Updates:
        """Show the conversation that the address names after a step in the history of the browser."""
        return await self._show(request, await self._view.principal(request), conversation_of(named))

    async def new(self, request: gr.Request) -> Updates:
        """Start a conversation. It is stored with its first message."""
        return await self._show(request, await self._view.principal(request), None)

    async def pick(self, chosen: object, request: gr.Request) -> Updates:
        """Open a conversation of the list."""
        principal = await self._view.principal(request)
        return await self._show(request, principal, conversation_of(chosen), listed=True)

    async def older(self, named: object, cursor: object, request: gr.Request) -> Updates:
        """List the next page of conversations."""
        principal, current = await self._view.principal(request), conversation_of(named)
        try:
            return await self._view.conversations(principal, current, text_of(cursor) or None)
        except InvalidRequest:
            return await self._view.conversations(principal, current)

    async def newest(self, named: object, request: gr.Request) -> Updates:
        """List the first page of conversations."""
        return await self._view.conversations(await self._view.principal(request), conversation_of(named))

    async def refresh(self, named: object, request: gr.Request) -> Updates:
        """Refresh the balance and the models, and the conversation if another tab or device continued it."""
        principal = await self._view.principal(request)
        tab, current = self._tabs[request.session_hash], conversation_of(named)
        fresh = {**await self._view.identity(principal), **self._view.models()}
        if current is None or tab.follower or tab.shown != current:
            return fresh
        try:
            newest = (await self._view.transcript(principal, current)).newest
        except ChatbillError:
            return fresh
        return fresh if newest == tab.newest else {**fresh, **await self._show(request, principal, current)}

    async def delete(self, named: object, request: gr.Request) -> Updates:
        """Delete the open conversation. None means that the user cancelled."""
        current = conversation_of(named)
        if current is None:
            return {self._widgets.box: gr.skip()}
        principal = await self._view.principal(request)
        try:
            await self._use_cases.chat.delete_conversation(principal, current)
        except ChatbillError as error:
            shown = await self._show(request, principal, current)
            why = rendering.error_message(render(error.description))
            return {**shown, self._widgets.chat: [*shown[self._widgets.chat], why]}
        return await self._show(request, principal, None)

    async def _show(
        self, request: gr.Request, principal: Principal, current: ConversationId | None, *, listed: bool = False
    ) -> Updates:
        """Show a conversation instead of what the tab shows, and refresh the rest of the page.

        The list of conversations stays as it is if the conversation is `listed` in it.
        """
        tab = self._tabs[request.session_hash]
        await tab.leave()
        try:
            transcript = await self._view.transcript(principal, current)
        except ChatbillError as error:
            why = NOT_YOURS if isinstance(error, NotFound) else render(error.description)
            transcript, current = Transcript([rendering.error_message(why)]), None
        tab.shows(current, transcript.newest)
        return await self._view.shown(principal, current, transcript, listed=listed)
