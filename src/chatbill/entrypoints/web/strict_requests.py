"""Refuses HTTP requests that a proxy and this server could read differently."""

from __future__ import annotations

import re
from typing import Any, Final

import h11

# As in h11, which ends the head at an empty line and accepts LF alone as the end of a line.
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


class StrictConnection(h11.Connection):
    """A connection that accepts no bare LF in the head of a request, and no body with two kinds of length."""

    def next_event(self) -> Any:
        """Return the next event. Raises `h11.RemoteProtocolError` for an ambiguous request."""
        if self.their_state is h11.IDLE:
            received, _ = self.trailing_data
            end = _END_OF_HEAD.search(received)
            if _BARE_LF.search(received, 0, end.end() if end else len(received)):
                raise h11.RemoteProtocolError("a line of the head ends without CR")
        event = super().next_event()
        if isinstance(event, h11.Request) and {name for name, _ in event.headers} >= _LENGTHS:
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event
