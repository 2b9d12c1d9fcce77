"""One server: its connections, its dialect, and the failures of its models."""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import aiohttp
import certifi
import structlog
from aiohttp import ClientResponse
from yarl import URL

from chatbill.adapters.inference.availability.health import CircuitBreaker
from chatbill.adapters.inference.openai.dialect import (
    ChatRequest,
    Deviations,
    Dialect,
    body_of,
    deviation_named,
    field_named,
)
from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.adapters.inference.openai.refusals import (
    MAX_MESSAGE_CHARS,
    MISFIT,
    ServerMessage,
    kind_of,
    server_message,
)
from chatbill.adapters.inference.openai.wire import EventReader, ServerChunk, read_chunk
from chatbill.application.shared.origin import current_origin

_log = structlog.get_logger(__name__)

_MAX_ERROR_BYTES = 16_384
_KEEP_ALIVE_S = 15.0
_MAX_FAILURES = 5
"""Failures of users' requests in a row, over all models of the server, after which only probes are sent to it."""
_USAGE_WAIT_S = 2.0
"""How long after the last token the counts may come; the reply is complete without them."""
_LAST_BYTES_WAIT_S = 0.1
"""How long after the last event the end of the response may come."""
_MAY_NAME_DEVIATION = MISFIT | {500}
"""Some servers answer 500 when a chat template refuses a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The time limits of a server, in seconds, and the number of attempts while nothing was delivered.

    A ready model has `probe_timeout_s` to answer a probe. An unavailable one, which the server may be loading, has
    `first_token_s`.

    Before another try there is a pause: the server's Retry-After, if that is at most `max_retry_after_s`, or else a
    random time up to `backoff_s`, doubled each time.
    """

    connect_s: float = 5.0
    first_token_s: float = 60.0
    probe_timeout_s: float = 15.0
    between_tokens_s: float = 30.0
    whole_s: float = 120.0
    tries: int = 3
    backoff_s: float = 0.5
    max_retry_after_s: float = 5.0


class Server:
    """Asks one server for replies. `url` ends before `/chat/completions`. It belongs to one event loop.

    Connections are kept open between requests. Proxies are taken from the environment, as most programs do.
    A server with a `socket` listens on that Unix socket of this machine instead of an address.
    """

    def __init__(
        self, url: str, key: str | None, *, timeouts: Timeouts, max_connections: int, socket: Path | None = None
    ) -> None:
        self.url = URL(url)
        self.breaker = CircuitBreaker(_MAX_FAILURES, lambda _failures: ServerError(ErrorKind.BROKEN, "").fault)
        self._key = key
        self.timeouts = timeouts
        self._max_connections = max_connections
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._path = self.url.with_path(self.url.path.rstrip("/") + "/chat/completions", keep_query=True)
        self._dialect = Dialect()

    async def chunks(self, request: ChatRequest) -> AsyncGenerator[ServerChunk]:
        """Yield the reply to this request; tries again while that can help and nothing was delivered.

        Returns only when the server has marked the reply as complete. Raises `ServerError`.
        """
        tries = 0
        while True:
            tries += 1
            delivered = False
            try:
                async with aclosing(self._ask(request)) as chunks:
                    async for chunk in chunks:
                        delivered = True
                        yield chunk
            except ServerError as error:
                if delivered or error.again_s is None or tries >= self.timeouts.tries:
                    raise
                if error.again_s > self.timeouts.max_retry_after_s:
                    raise
                backoff_s = self.timeouts.backoff_s * 2 ** (tries - 1)
                pause_s = max(error.again_s, random.uniform(0, backoff_s))  # noqa: S311 - not a secret
            else:
                return
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Return the connections, which need a running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={
                    "Accept": "text/event-stream, application/json",
                    **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                },
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.timeouts.connect_s),
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Reading the environment takes a thread and several files for each request.
                trust_env=not self._socket and bool(getproxies()),
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        limit = self._max_connections
        if self._socket:
            # llama.cpp gives a thread to each connection, idle or not, and closes it after some requests.
            return aiohttp.UnixConnector(str(self._socket), limit=limit, force_close=True)
        trust = ssl.create_default_context()
        # In addition to the system's certificates, for systems that have none.
        trust.load_verify_locations(certifi.where())
        return aiohttp.TCPConnector(limit=limit, keepalive_timeout=_KEEP_ALIVE_S, ssl=trust)

    async def _ask(self, request: ChatRequest) -> AsyncGenerator[ServerChunk]:
        clock = asyncio.get_running_loop().time
        now = clock()
        whole_by, token_by = now + self.timeouts.whole_s, now + self.timeouts.first_token_s
        response = await self._send(request, by=min(whole_by, token_by))
        try:
            whole = has_text = begun = False
            async with aclosing(self._events(response)) as events:
                while (event := await _next(events, by=min(whole_by, token_by), whole=whole)) is not None:
                    chunk = read_chunk(event, begun=begun)
                    begun = begun or bool(chunk.text) or chunk.thought
                    has_text = has_text or bool(chunk.text)
                    whole = whole or chunk.finished or (chunk.done and has_text)
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
                    raise ServerError(ErrorKind.BROKEN, "the stream ended before the reply was whole")
                # Only a response that was read to its end leaves a connection for the next request.
                await _next(events, by=clock() + _LAST_BYTES_WAIT_S, whole=True)
        finally:
            response.close()

    async def _send(self, request: ChatRequest, *, by: float) -> ClientResponse:
        """Return the response once its headers are there and do not show that it is no reply."""
        deviations = self._dialect.of(request)
        while True:
            response = await self._headers(body_of(request, deviations), by=by)
            if response.status in range(200, 300) and "html" not in response.headers.get("Content-Type", ""):
                self._accepted(request, deviations)
                return response
            try:
                message = await self._message(response, by=by)
            finally:
                response.close()
            kind = kind_of(response.status, message)
            deviation = None
            if response.status in _MAY_NAME_DEVIATION and kind in {ErrorKind.MISFIT, ErrorKind.BROKEN}:
                deviation = deviation_named(message, request, deviations)
            if deviation is None:
                field = field_named(message, request) if kind is ErrorKind.MISFIT else None
                raise self._refusal(response, kind, message, field)
            deviations |= {deviation}

    def _accepted(self, request: ChatRequest, deviations: Deviations) -> None:
        if new := self._dialect.accepted(request, deviations):
            names = sorted(deviation.name.lower() for deviation in new)
            _log.warning("model_deviates", model=request.model, server=self.url.host, asked=", ".join(names))

    async def _headers(self, body: dict[str, Any], *, by: float) -> ClientResponse:
        try:
            async with asyncio.timeout_at(by):
                return await self._opened().post(self._path, json=body, headers=_request_id(), allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ServerError(ErrorKind.UNREACHABLE, f"cannot connect: {_short_text(error)}", again_s=0) from error
        except TimeoutError:
            raise ServerError(ErrorKind.BROKEN, "no answer in time") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientResponseError) as error:
            raise _broken("no answer", error, again_s=0) from None
        except aiohttp.ClientError as error:
            raise _broken("cannot be asked", error) from None

    async def _message(self, response: ClientResponse, *, by: float) -> ServerMessage:
        """Return the message of a refusal, without the key if it quotes that; empty if it cannot be read."""
        body = b""
        try:
            async with asyncio.timeout_at(by):
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > _MAX_ERROR_BYTES:
                        break
            message = server_message(json.loads(body))
        except (aiohttp.ClientError, TimeoutError):
            return ServerMessage("")
        except (ValueError, RecursionError):
            message = ServerMessage(body[:MAX_MESSAGE_CHARS].decode("utf-8", "replace"))
        if not self._key:
            return message
        return message.without(self._key)

    def _refusal(
        self, response: ClientResponse, kind: ErrorKind, message: ServerMessage, field: str | None
    ) -> ServerError:
        return ServerError(
            ErrorKind.FIELD if field else kind,
            f"answered {response.status}: {message}",
            details=f"answered {response.status}: {message.text}",
            again_s=_retry_after_s(response) if kind is ErrorKind.BUSY else None,
            field=field,
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
    """Return the next event, None at the end. Once the reply is complete, errors and delays are ignored."""
    try:
        async with asyncio.timeout_at(by):
            return await anext(events, None)
    except TimeoutError:
        if whole:
            return None
        raise ServerError(ErrorKind.BROKEN, "silent for too long") from None
    except ServerError:
        if whole:
            return None
        raise


def _request_id() -> dict[str, str]:
    """Return the header that names the request of the person in the log of the server; none for a probe."""
    request_id = current_origin().request_id
    return {"X-Request-Id": request_id} if request_id else {}


def _retry_after_s(response: ClientResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", value) else 0.0


def _broken(what: str, error: Exception, *, again_s: float | None = None) -> ServerError:
    """Return the error, with its text in the details alone: it can quote what the server sent."""
    name = type(error).__name__
    return ServerError(
        ErrorKind.BROKEN, f"{what}: {name}", details=f"{what}: {name} {_short_text(error)}", again_s=again_s
    )


def _short_text(error: Exception) -> str:
    return str(error)[:MAX_MESSAGE_CHARS]
