"""Sends the head and the body of an answer together, in one call of the system."""

from __future__ import annotations

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that keeps the first part written in a turn of the event loop, and sends it with the next one.

    What is left at the end of the turn is sent alone. No more than one part is kept, so the flow control of the
    transport works as without it.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep the part, or send it with the one that is kept."""
        kept, self._kept = self._kept, None
        if kept is None:
            self._kept = data
            self._loop.call_soon(self._send)
        else:
            self._transport.writelines([kept, data])

    def close(self) -> None:
        """Close the transport once everything is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and not self._transport.is_closing():
            self._transport.write(kept)
