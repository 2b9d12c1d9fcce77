"""A collector of traces and errors: a real HTTP server that keeps all it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import brotli

DECODERS: Final[dict[str, Any]] = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}


class Collector:
    """Keeps the paths, the headers and the bodies of requests, the bodies as they were before compression."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[bytes] = []
        self.port = 0

    @property
    def everything(self) -> bytes:
        """Return all that arrived, for a search."""
        return b"\n".join([*map(str.encode, self.paths), *self.headers, *self.bodies])


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a thread."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = DECODERS[self.headers.get("Content-Encoding", "")](
                self.rfile.read(int(self.headers["Content-Length"]))
            )
            collector.paths.append(self.path)
            collector.headers.append(str(self.headers).encode())
            collector.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    running.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        running.join()
