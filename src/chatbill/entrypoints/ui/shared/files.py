"""Files that are streamed by the functions which the API uses too."""

from __future__ import annotations

from litestar.response.base import ASGIResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class File(Response):
    """A response of the API's framework as one of the page's."""

    def __init__(self, inner: ASGIResponse) -> None:
        super().__init__(status_code=200)
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        await self._inner(scope, receive, send)  # type: ignore[arg-type]
