"""Guards the two routes of Gradio that carry events: one takes them, one streams their answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlencode

from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbill.application.accounts.limit_page_events import LimitPageEvents
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import RateLimited
from chatbill.entrypoints.ui.gradio_queue import GradioQueue
from chatbill.entrypoints.ui.session import error_response
from chatbill.entrypoints.ui.tabs import Tabs, tab_id
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.head import ANSWERS_HEAD
from chatbill.entrypoints.web.proxies import path_below_root

JOIN: Final = "/ui/gradio_api/queue/join"
DATA: Final = "/ui/gradio_api/queue/data"
PRINCIPAL: Final = "chatbill.principal"
"""The key of the scope under which is the user of a request that was authenticated."""
MAX_UNANSWERED: Final = 20
MAX_STREAMS: Final = 2
MAX_HASH_CHARS: Final = 64

_BUSY: Final = {"code": "rate_limited", "detail": "This tab waits for too many answers. Reload the page."}
_FULL: Final = {"code": "overloaded", "detail": "Too many pages are open. Try again in a moment."}


class PageEvent(BaseModel, extra="ignore"):
    """An event as the page sends it. The values of its components are texts and numbers, never files."""

    session_hash: str = Field(min_length=1, max_length=MAX_HASH_CHARS)
    fn_index: int
    data: list[str | int | float | bool | None] = Field(max_length=16)
    trigger_id: int | None = None


@dataclass(frozen=True, slots=True)
class EventGuard:
    """ASGI middleware inside `AccessMiddleware`, which puts the user into the scope.

    Each tab gets a name that no other sign-in can use, so no request reads or sends events of another person. All tabs
    together have at most `most` streams, so that pages leave connections to other clients.
    """

    app: ASGIApp
    limit: LimitPageEvents
    tabs: Tabs
    queue: GradioQueue
    most: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an event or a stream under the name of its tab, or refuse it."""
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if path == JOIN:
            await self._join(scope, receive, send)
        elif path == DATA:
            await self._stream(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = cast("Principal", scope[PRINCIPAL])
        try:
            # It comes first, so that also what is refused below is limited.
            await self.limit(principal, ClientAddresses().of(cast("Any", scope)))
            event = await _event(scope, receive)
            if event is None or not self.queue.accepts(event.fn_index, len(event.data)):
                answer = {"code": "invalid_request", "detail": "The page did not send this. Reload the page."}
                await JSONResponse(answer, 400)(scope, receive, send)
                return
            name = tab_id(principal, event.session_hash)
            self.tabs.enter(name, principal.user_id)
        except RateLimited as error:
            await error_response(error)(scope, receive, send)
            return
        if self.queue.unanswered(name) >= MAX_UNANSWERED:
            await JSONResponse(_BUSY, 429)(scope, receive, send)
            return
        body = json.dumps(event.model_dump() | {"session_hash": name}).encode()
        await self.app(_with_length(scope, len(body)), _received(body, receive), send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
        name = tab_id(scope[PRINCIPAL], asked[-1])
        tab = self.tabs[name]
        if not self.queue.is_known(name):
            await JSONResponse({"code": "not_found", "detail": "There is no such tab."}, 404)(scope, receive, send)
            return
        if scope.get(ANSWERS_HEAD):
            # Gradio would take the answers that wait for the tab.
            await Response(media_type="text/event-stream")(scope, receive, send)
            return
        if tab.streams >= MAX_STREAMS:
            await JSONResponse(_BUSY, 429)(scope, receive, send)
            return
        if self.tabs.streams() >= self.most:
            await JSONResponse(_FULL, 503)(scope, receive, send)
            return
        tab.streams += 1
        try:
            query = urlencode({"session_hash": name}).encode()
            await self.app({**scope, "query_string": query}, receive, send)
        finally:
            tab.streams -= 1


async def _event(scope: Scope, receive: Receive) -> PageEvent | None:
    """Return the event of a request; None if its body is none."""
    try:
        return PageEvent.model_validate_json(await Request(scope, receive).body())
    except (ValidationError, ClientDisconnect):
        return None


def _with_length(scope: Scope, length: int) -> Scope:
    scope = {**scope, "query_string": b"", "headers": list(scope["headers"])}
    MutableHeaders(scope=scope)["content-length"] = str(length)
    return scope


def _received(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives this body first."""
    given = False

    async def receive_body() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_body
