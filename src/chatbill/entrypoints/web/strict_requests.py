"""Refuses HTTP requests that a proxy and this server could read differently."""

from __future__ import annotations

from typing import Any, Final

import h11
from h11._receivebuffer import ReceiveBuffer

_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


class StrictBuffer(ReceiveBuffer):
    """Received bytes, of which a line ends with CR and LF and holds neither of them alone.

    h11 reads heads, trailers and the sizes of chunks as lines. The other parts of a body pass through unread. Every
    byte is looked at once, however many packets it comes in.
    """

    _checked = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines before an empty one, or None if that did not come yet. Raises `h11.LocalProtocolError`."""
        while (lf := self._data.find(b"\n", self._checked)) >= 0:
            self._checked = lf + 1
            if self._data[max(0, lf - 1) : lf] != b"\r":
                raise h11.LocalProtocolError("a line ends without CR")
            if lf == 1 or self._data[lf - 3 : lf - 1] == b"\r\n":
                self._checked = 0
                return super().maybe_extract_lines()
        self._checked = len(self._data)
        return None

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return a line with its end, or None if that did not come yet. Raises `h11.LocalProtocolError`."""
        line = super().maybe_extract_next_line()
        if line is not None and (b"\r" in line[:-2] or b"\n" in line[:-2]):
            raise h11.LocalProtocolError("a line holds CR or LF")
        return line


class StrictConnection(h11.Connection):
    """A connection that accepts no line that ends with LF alone, and no body with two kinds of length."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._receive_buffer = StrictBuffer()

    def next_event(self) -> Any:
        """Return the next event. Raises `h11.RemoteProtocolError` for an ambiguous request."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            lengths = {name for name, _ in event.headers} & _LENGTHS
            if lengths == _LENGTHS:
                raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
            # RFC 9112, section 6.1: programs of that version do not know chunks.
            if event.http_version < b"1.1" and b"transfer-encoding" in lengths:
                raise h11.RemoteProtocolError("Transfer-Encoding in HTTP/1.0")
        return event
