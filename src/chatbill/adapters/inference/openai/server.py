"""One server: its connections, how it likes to be asked, and whether it has been working."""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import certifi
from aiohttp import ClientResponse
from yarl import URL

from chatbill.adapters.inference.availability.health import CircuitBreaker
from chatbill.adapters.inference.openai.dialect import Dialect, body_of, hint
from chatbill.adapters.inference.openai.errors import Kind, ServerError
from chatbill.adapters.inference.openai.wire import MAX_WORDS, EventReader, Said, ServerChunk, read_chunk, said_in

_MAX_ERROR_BYTES = 16_384
_KEEP_ALIVE_S = 15.0
_MAX_FAILURES = 5
"""Failures of users' requests in a row, over all models of the server, after which only probes are sent to it."""
_USAGE_WAIT_S = 2.0
"""How long the counts may come after the last token; the reply is whole without them."""
_LAST_BYTES_WAIT_S = 0.1
"""How long the end of the response may come after the last event."""
_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum context|prompt is too long|exceed_context", re.IGNORECASE
)
_SET_UP = frozenset({402, 404})
"""Our credit there or the model's name is wrong."""
_REFUSED = frozenset({401, 403})
"""Our key is wrong, or what a person wrote: some answer so what their rules forbid."""
_NO_CREDIT = "insufficient_quota"
"""What OpenAI says in its 429 where waiting does not help."""
_BUSY = frozenset({429, 503})
_MISFIT = frozenset({400, 422})
_CAN_TEACH = _MISFIT | {500}
"""Some servers take it for a fault of their own when a chat template refuses a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a server may take, in seconds, and how often it is asked again while nothing was delivered.

    A model that is offered has `trial_s` for the token that proves it; one that is not may be on its way into memory.

    Before another try there is a pause: what the server wishes, if that is at most `max_retry_after_s`, else up to
    `backoff_s`, doubled each time, by chance so that not all come back at once.
    """

    connect_s: float = 5.0
    first_token_s: float = 60.0
    trial_s: float = 15.0
    between_tokens_s: float = 30.0
    whole_s: float = 120.0
    tries: int = 3
    backoff_s: float = 0.5
    max_retry_after_s: float = 5.0


class Server:
    """Asks one server for replies. `url` ends before `/chat/completions`. Belongs to the event loop that first asks.

    Connections are kept open between requests. Proxies are taken from the environment, as most programs do.
    """

    def __init__(self, url: str, key: str | None, *, timeouts: Timeouts, max_connections: int) -> None:
        self.url = URL(url)
        self.breaker = CircuitBreaker(_MAX_FAILURES, lambda _failures: ServerError(Kind.BROKEN, "").fault)
        self._key = key
        self.timeouts = timeouts
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._path = self.url.with_path(self.url.path.rstrip("/") + "/chat/completions", keep_query=True)
        self._dialect = Dialect()

    async def chunks(self, body: dict[str, Any], *, max_tokens: int) -> AsyncGenerator[ServerChunk]:
        """The reply to this request body, chunk by chunk; asks again while that can help and nothing came yet.

        Returns only when the server said that the reply is whole. Raises `ServerError`.
        """
        tries = 0
        while True:
            tries += 1
            delivered = False
            try:
                async with aclosing(self._ask(body, max_tokens)) as chunks:
                    async for chunk in chunks:
                        delivered = True
                        yield chunk
            except ServerError as trouble:
                if delivered or trouble.again_s is None or tries >= self.timeouts.tries:
                    raise
                if trouble.again_s > self.timeouts.max_retry_after_s:
                    raise
                backoff_s = self.timeouts.backoff_s * 2 ** (tries - 1)
                pause_s = max(trouble.again_s, random.uniform(0, backoff_s))  # noqa: S311 - nothing secret
            else:
                return
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The connections, which want a running loop."""
        if self._session is None:
            trust = ssl.create_default_context()
            # Beside the system's certificates, for systems that have none.
            trust.load_verify_locations(certifi.where())
            self._session = aiohttp.ClientSession(
                headers={
                    "Accept": "text/event-stream",
                    **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                },
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.timeouts.connect_s),
                connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=_KEEP_ALIVE_S, ssl=trust),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session

    async def _ask(self, body: dict[str, Any], max_tokens: int) -> AsyncGenerator[ServerChunk]:
        clock = asyncio.get_running_loop().time
        begun = clock()
        whole_by, token_by = begun + self.timeouts.whole_s, begun + self.timeouts.first_token_s
        response = await self._send(body, max_tokens, by=min(whole_by, token_by))
        try:
            whole = False
            said = False
            async with aclosing(self._events(response)) as events:
                while (event := await _next(events, by=min(whole_by, token_by), whole=whole)) is not None:
                    chunk = read_chunk(event)
                    said = said or bool(chunk.text)
                    whole = whole or chunk.finished or (chunk.done and said)
                    if chunk.text or chunk.thought:
                        token_by = clock() + self.timeouts.between_tokens_s
                    if whole:
                        token_by = min(token_by, clock() + _USAGE_WAIT_S)
                    if chunk.done:
                        break
                    handed_over = clock()
                    yield chunk
                    token_by += clock() - handed_over  # time that the reader took is not the server's
                if not whole:
                    raise ServerError(Kind.BROKEN, "the stream ended before the reply was whole")
                # Only a response that was read to its end leaves a connection for the next request.
                await _next(events, by=clock() + _LAST_BYTES_WAIT_S, whole=True)
        finally:
            response.close()

    async def _send(self, body: dict[str, Any], max_tokens: int, *, by: float) -> ClientResponse:
        """The response once its headers are there, when it is one that begins a stream."""
        quirks = self._dialect.of(body)
        while True:
            response = await self._headers(body_of(body, max_tokens, quirks), by=by)
            is_stream = "event-stream" in response.headers.get("Content-Type", "event-stream")
            if response.status in range(200, 300) and is_stream:
                self._dialect.worked(body, quirks)
                return response
            try:
                said = await self._said(response, by=by)
            finally:
                response.close()
            quirk = hint(said.words, body, quirks) if response.status in _CAN_TEACH else None
            if quirk is None:
                raise self._refusal(response, said)
            quirks |= {quirk}

    async def _headers(self, body: dict[str, Any], *, by: float) -> ClientResponse:
        try:
            async with asyncio.timeout_at(by):
                return await self._opened().post(self._path, json=body, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ServerError(Kind.UNREACHABLE, f"cannot connect: {_words(error)}", again_s=0) from error
        except TimeoutError:
            raise ServerError(Kind.BROKEN, "no answer in time") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientResponseError) as error:
            raise _broken("no answer", error, again_s=0) from None
        except aiohttp.ClientError as error:
            raise _broken("cannot be asked", error) from None

    async def _said(self, response: ClientResponse, *, by: float) -> Said:
        """What a refusal says, without our key should it quote that; nothing where it cannot be read."""
        body = b""
        try:
            async with asyncio.timeout_at(by):
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _MAX_ERROR_BYTES:
                        break
            said = said_in(json.loads(body))
        except (aiohttp.ClientError, TimeoutError):
            return Said("")
        except (ValueError, RecursionError):
            said = Said(body[:MAX_WORDS].decode("utf-8", "replace"))
        if not self._key:
            return said
        return Said(said.words.replace(self._key, "[key]"), tuple(name for name in said.names if name != self._key))

    def _refusal(self, response: ClientResponse, said: Said) -> ServerError:
        status = response.status
        busy = status in _BUSY and _NO_CREDIT not in said.words
        return ServerError(
            Kind.BUSY if busy else _kind_of(status, said),
            f"answered {status}: {said}",
            details=f"answered {status}: {said.words}",
            again_s=_retry_after_s(response) if busy else None,
        )

    async def _events(self, response: ClientResponse) -> AsyncGenerator[str]:
        reader = EventReader()
        try:
            async for received in response.content.iter_any():
                for event in reader.push(received):
                    yield event
        except aiohttp.ClientError as error:
            raise _broken("the stream broke", error) from None
        for event in reader.finish():
            yield event


async def _next(events: AsyncGenerator[str], *, by: float, whole: bool) -> str | None:
    """The next event, None at the end. Once the reply is whole, whatever comes late or goes wrong is no trouble."""
    try:
        async with asyncio.timeout_at(by):
            return await anext(events, None)
    except TimeoutError:
        if whole:
            return None
        raise ServerError(Kind.BROKEN, "silent for too long") from None
    except ServerError:
        if whole:
            return None
        raise


def _retry_after_s(response: ClientResponse) -> float:
    wish = response.headers.get("Retry-After", "")
    return float(wish) if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", wish) else 0.0


def _kind_of(status: int, said: Said) -> Kind:
    """What a refusal means that is not for now."""
    if status in _SET_UP | _BUSY:
        return Kind.SET_UP
    if status in _REFUSED:
        return Kind.REFUSED
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (status in _MISFIT and _TOO_LONG.search(said.words)):
        return Kind.TOO_LONG
    return Kind.MISFIT if status in range(400, 500) else Kind.BROKEN


def _broken(what: str, error: Exception, *, again_s: float | None = None) -> ServerError:
    """The client's errors can quote whatever the server sent."""
    name = type(error).__name__
    return ServerError(Kind.BROKEN, f"{what}: {name}", details=f"{what}: {name} {_words(error)}", again_s=again_s)


def _words(error: Exception) -> str:
    return str(error)[:MAX_WORDS]
