"""Reads request bodies within a size limit, and parses them as JSON."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException, SerializationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.serialization import decode_json

from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import TooLarge
from chatbill.entrypoints.web.problems import ClientLeft, MalformedRequest, UnsupportedMediaType

DRAIN_BYTES: Final = 16_777_216
DRAIN_S: Final = 5.0
"""How much of a body over the limit is read and discarded, so that the client can read the answer."""


class JsonRequest(Request[Principal, str, State]):
    """A request with a JSON body or none."""

    async def body(self) -> bytes:
        """Return the body. Raises `TooLarge` beyond the limit."""
        try:
            return await super().body()
        except RequestEntityTooLarge as error:
            await self._drain()
            limit = self.route_handler.resolve_request_max_body_size()
            raise TooLarge.of("body", "too_many_bytes", max=limit) from error
        except InternalServerException as error:
            raise ClientLeft from error

    async def json(self) -> Any:
        """Return the body as JSON. Raises `UnsupportedMediaType`, and `MalformedRequest` if it is not JSON."""
        self._check_media_type()
        try:
            return decode_json(await self.body())
        except (SerializationException, UnicodeDecodeError) as error:
            raise MalformedRequest.of("body", "not_json") from error
        except RecursionError as error:
            raise MalformedRequest.of("body", "nested_too_deeply") from error

    def _check_media_type(self) -> None:
        media_type, _ = self.content_type
        is_json = media_type == "application/json" or (
            media_type.startswith("application/") and media_type.endswith("+json")
        )
        if media_type and not is_json:
            raise UnsupportedMediaType

    async def _drain(self) -> None:
        """Read the rest for a while: closing a connection with unread data would also discard the answer."""
        drained = 0
        try:
            async with asyncio.timeout(DRAIN_S):
                while drained < DRAIN_BYTES:
                    event = await self.receive()
                    if event["type"] != "http.request" or not event.get("more_body", False):
                        return
                    drained += len(event["body"])
        except TimeoutError:
            return
