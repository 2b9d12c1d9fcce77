"""Ends the work for clients that disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from litestar.types import Receive

from chatbill.entrypoints.web.problems import ClientLeft
from chatbill.entrypoints.web.replies import wait_for_disconnect

T = TypeVar("T")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work. When the client disconnects, cancel the work and raise `ClientLeft`.

    The body of the request must have been read.
    """
    working = asyncio.create_task(work)
    disconnected = asyncio.create_task(wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        disconnected.cancel()
        if working.cancel():
            await asyncio.wait({working})
