"""Answers HEAD as GET without a body, on every route that answers GET."""

from __future__ import annotations

import asyncio
from typing import Any, Final

ANSWERS_HEAD: Final = "chatbill.head"
"""The key of the scope that is true for a GET whose body no client will read."""


class HeadAsGet:
    """ASGI middleware that runs HEAD as GET and drops the body. It also ends streams after their headers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer HEAD; pass every other request on unchanged."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = asyncio.Event()

        async def send_head(message: Any) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif not ended.is_set():
                ended.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_or_disconnect() -> Any:
            if not ended.is_set():
                return await receive()
            return {"type": "http.disconnect"}

        as_get = {**scope, "method": "GET", ANSWERS_HEAD: True}
        try:
            await self._app(as_get, receive_or_disconnect, send_head)
        finally:
            # What the application notes in the scope, such as the user, is logged with the request.
            scope.update(as_get | {"method": "HEAD"})
