"""The actions of the chat: send, regenerate, stop, quote, rename, pin, delete."""

from __future__ import annotations

import json
from http import HTTPStatus
from itertools import cycle
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from chatbill.application.assembly import UseCases
from chatbill.application.chat.messages import Message
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import InvalidRequest, RequestInProgress
from chatbill.domain.shared.ids import ConversationId, InteractionId
from chatbill.entrypoints.ui.chat.rendering import quote_texts
from chatbill.entrypoints.ui.chat.views import ChatPages
from chatbill.entrypoints.ui.live.hub import Hub
from chatbill.entrypoints.ui.shared.forms import text_fields
from chatbill.entrypoints.ui.shared.visits import NO_STORE, Site, Visit, done
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.problems import ClientLeft

FIELDS = ("model", "text", "conversation_id", "parent_id", "key")


class ChatActions:
    """The actions. A reply is written by a task of its own: no request of the page waits for it."""

    def __init__(self, use_cases: UseCases, pages: ChatPages, hub: Hub) -> None:
        self._chat = use_cases.chat
        self._pages = pages
        self._hub = hub

    async def send(self, visit: Visit) -> Response:
        """Send a message, and return its turn. The same key gives the same turn again."""
        message = await _message(visit)
        try:
            reply = await self._chat.send_message(visit.principal, message)
            sent = reply.accepted.interaction_id
        except RequestInProgress:
            sent = await self._sent_before(visit, message)
        return await self._accepted(visit, sent, is_new=message.conversation_id is None and not message.temporary)

    async def regenerate(self, visit: Visit) -> Response:
        """Let a model answer a message again, and return the turn beside the earlier one."""
        model, key = await text_fields(visit.request, "model", "key")
        wanted = Message(model=model, text="", idempotency_key=key or None)
        reply = await self._chat.regenerate(visit.principal, InteractionId(visit.path("id")), wanted)
        return await self._accepted(visit, reply.accepted.interaction_id, is_new=False)

    async def stop(self, visit: Visit) -> Response:
        """Stop a reply. Its end comes as an event."""
        await self._chat.stop_message(visit.principal, InteractionId(visit.path("id")))
        return done()

    async def quote(self, visit: Visit) -> Response:
        """Say what the reply to a message can cost."""
        quote = await self._chat.quote_message(visit.principal, await _message(visit))
        return JSONResponse(quote_texts(quote), headers=NO_STORE)

    async def change(self, visit: Visit) -> Response:
        """Give a conversation another title, or pin it."""
        title, pinned = await text_fields(visit.request, optional=("title", "pinned"))
        id_ = ConversationId(visit.path("conversation_id"))
        if pinned:
            await self._chat.change_conversation(visit.principal, id_, pinned=pinned == "true")
        else:
            await self._chat.change_conversation(visit.principal, id_, title=title)
        self._hub.tell(visit.principal.user_id, "conversations")
        if pinned:
            return done(say=_("Pinned.") if pinned == "true" else _("Not pinned any more."))
        return done(say=_("Renamed."), refresh=True)

    async def delete(self, visit: Visit) -> Response:
        """Delete a conversation, and open a new one."""
        await self._chat.delete_conversation(visit.principal, ConversationId(visit.path("conversation_id")))
        self._hub.tell(visit.principal.user_id, "conversations")
        return done(say=_("The chat was deleted."), go="")

    async def _sent_before(self, visit: Visit, message: Message) -> InteractionId:
        """Return the interaction that the key of a message came with. Raises `RequestInProgress` until it is there."""
        key = message.idempotency_key
        found = await self._chat.find_sent(visit.principal, key, message.fingerprint) if key else None
        if found is None:
            raise RequestInProgress
        return found.id

    async def _accepted(self, visit: Visit, sent: InteractionId, *, is_new: bool) -> Response:
        if is_new:
            self._hub.tell(visit.principal.user_id, "conversations")
        return JSONResponse(await self._pages.turn_json(visit, sent), HTTPStatus.ACCEPTED, headers=NO_STORE)


def chat_actions(site: Site, pages: ChatPages, hub: Hub) -> None:
    """Add the actions."""
    actions = ChatActions(site.use_cases, pages, hub)
    site.post("/web/chat/messages", actions.send)
    site.post("/web/chat/quote", actions.quote)
    site.post("/web/chat/turns/{id}/regenerate", actions.regenerate)
    site.post("/web/chat/turns/{id}/stop", actions.stop)
    site.post("/web/chat/conversations/{conversation_id}", actions.change)
    site.delete("/web/chat/conversations/{conversation_id}", actions.delete)


async def _message(visit: Visit) -> Message:
    """Return the message of a request. Its text has the bound of the use case, its size that of the page.

    One with a `history`, the texts of the person and of the model in turn, belongs to a temporary chat.
    """
    try:
        body: Any = json.loads(await visit.request.body())
    except ClientDisconnect:
        raise ClientLeft from None
    except (ValueError, RecursionError):
        raise InvalidRequest.of("body", "not_json_body") from None
    if not isinstance(body, dict) or not all(isinstance(body.get(field, ""), str) for field in FIELDS):
        raise InvalidRequest.of("body", "not_an_object", fields=", ".join(FIELDS))
    model, text, conversation, parent, key = (body.get(field, "") for field in FIELDS)
    said = body.get("history")
    if said is not None and not (isinstance(said, list) and all(isinstance(text, str) for text in said)):
        raise InvalidRequest.of("body", "not_an_object", fields="history")
    return Message(
        model=model,
        text=text,
        conversation_id=ConversationId(conversation) if conversation else None,
        parent_id=parent or None,
        idempotency_key=key or None,
        history=None if said is None else tuple(map(Turn, cycle((Role.USER, Role.ASSISTANT)), said)),
        temporary=said is not None,
    )
