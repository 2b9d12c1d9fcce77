"""The route of the event connection: server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import ChatbillError, Unauthenticated
from chatbill.entrypoints.ui.live.feeds import Feed
from chatbill.entrypoints.ui.live.hub import Hub
from chatbill.entrypoints.ui.shared.cookies import token_of
from chatbill.entrypoints.ui.shared.visits import Site, Visit
from chatbill.entrypoints.web.event_stream import HEADERS, MEDIA_TYPE, PING
from chatbill.entrypoints.web.head import ANSWERS_HEAD
from chatbill.entrypoints.web.language import Language, speaking
from chatbill.entrypoints.web.texts import credits_text

PATH: Final = "/web/events"
PING_S: Final = 15.0
"""The time between two signs of life. At each, the session is checked again."""
RETRY_MS: Final = 1_000


def live_routes(site: Site, hub: Hub) -> None:
    """Add the route."""

    async def events(visit: Visit) -> Response:
        if visit.request.scope.get(ANSWERS_HEAD):
            return Response(media_type=MEDIA_TYPE)
        feed = hub.enter(visit.principal)
        stream = _stream(visit.request, visit.language, feed, hub, site.use_cases)
        return StreamingResponse(stream, media_type=MEDIA_TYPE, headers=HEADERS)

    site.get(PATH, events)


async def _stream(
    request: Request, language: Language, feed: Feed, hub: Hub, use_cases: UseCases
) -> AsyncGenerator[bytes, None]:
    """Yield events from the one on that the browser saw last, until it leaves, signs out, or the service stops."""
    closed = asyncio.create_task(hub.closed.wait())
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        loop, number = asyncio.get_running_loop(), _last_seen(request, feed)
        checked = loop.time()
        while not hub.closed.is_set():
            waiting = asyncio.create_task(feed.after(number, timeout_s=PING_S))
            await asyncio.wait({waiting, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                return
            events = waiting.result()
            if events is None:
                number = feed.number
                yield b"".join(_frame(f"{feed.epoch}-{number}", *event, language) for event in _snapshot(feed))
            elif events:
                number = events[-1].number
                yield b"".join(
                    _frame(f"{feed.epoch}-{event.number}", event.name, event.data, language) for event in events
                )
            else:
                yield PING
            if loop.time() - checked >= PING_S:
                checked = loop.time()
                if await _has_left(request, use_cases):
                    yield _frame(f"{feed.epoch}-{number}", "left", {}, language)
                    return
    finally:
        closed.cancel()
        hub.leave(feed)


def _snapshot(feed: Feed) -> list[tuple[str, dict[str, Any]]]:
    # The first event says so, so that a page which was connected before looks again at what it shows.
    return [("connected", {}), *feed.snapshot()]


def _last_seen(request: Request, feed: Feed) -> int:
    """Return the number of the last event that the browser saw; a number that no event has where it saw none.

    A browser that connects again by itself says so in a header, and a script that does so in the address.
    """
    last = request.headers.get("last-event-id") or request.query_params.get("last", "")
    epoch, _, number = last.partition("-")
    known = epoch == feed.epoch and number.isascii() and number.isdecimal() and len(number) < 16  # noqa: PLR2004
    return int(number) if known else -1


def _frame(id_: str, name: str, data: dict[str, Any], language: Language) -> bytes:
    """Return an event as it is sent. Amounts are also in the words of the language of the page."""
    if (amount := data.get("balance", data.get("credits"))) is not None:
        with speaking(language):
            data = {**data, "text": credits_text(amount)}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {id_}\nevent: {name}\ndata: {text}\n\n".encode()


async def _has_left(request: Request, use_cases: UseCases) -> bool:
    """Return True if the session has ended. To look is no use of the session."""
    try:
        await use_cases.accounts.web_watch(token_of(request.scope))
    except Unauthenticated:
        return True
    except ChatbillError:
        return False
    return False
