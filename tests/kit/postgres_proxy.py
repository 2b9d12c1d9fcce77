"""A proxy that cuts a connection to PostgreSQL where a test wants it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.postgres import Server

CHUNK_BYTES = 65_536


@dataclass
class Proxy:
    """Forwards bytes between clients on a port of its own and the server, until a client sends a given word.

    `cut(word)` cuts the next connection whose client sends this word. The server receives it or not, and the client
    never receives the result.
    """

    server: Server
    listener: socket.socket
    cuts: int = 0
    _word: bytes | None = None
    _heard: bool = False
    _open: list[socket.socket] = field(default_factory=list)

    def url(self, database_url: str) -> str:
        """Return the address of the same database through this proxy."""
        name = database_url.partition("?")[0].rpartition("/")[2]
        return f"postgresql://postgres@127.0.0.1:{self.listener.getsockname()[1]}/{name}"

    def cut(self, word: str, *, heard: bool) -> None:
        """Cut one connection at this word; `heard` tells whether the server receives it."""
        self._word, self._heard = word.encode(), heard

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(str(Path(self.server.folder) / "data" / ".s.PGSQL.5432"))
                self._open += [client, upstream]
                threading.Thread(target=self._ask, args=(client, upstream), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, upstream), daemon=True).start()

    def close(self) -> None:
        """Cut all connections."""
        for each in (self.listener, *self._open):
            _cut(each)

    def _ask(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while asked := client.recv(CHUNK_BYTES):
                if self._word and self._word in asked:
                    self._word = None
                    self.cuts += 1
                    # From here on the client receives nothing.
                    client.shutdown(socket.SHUT_RDWR)
                    if self._heard:
                        upstream.sendall(asked)
                        # The server first runs the statements that it has received.
                        upstream.shutdown(socket.SHUT_WR)
                    else:
                        _cut(upstream)
                    return
                upstream.sendall(asked)
        _cut(upstream)

    def _answer(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answered := upstream.recv(CHUNK_BYTES):
                with contextlib.suppress(OSError):
                    client.sendall(answered)
        _cut(client)


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


@contextlib.contextmanager
def line_to(server: Server) -> Iterator[Proxy]:
    """Yields a proxy of the server that forwards until it is told to cut."""
    proxy = Proxy(server, socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    yield proxy
    proxy.close()
    thread.join()
