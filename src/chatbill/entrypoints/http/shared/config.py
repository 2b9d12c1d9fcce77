"""The configuration of the HTTP API."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.entrypoints.web.background_exports import ExportFolder
from chatbill.entrypoints.web.metrics import MetricsPage


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """The configuration of one HTTP application.

    `engine` is the name shown by `GET /chat/status`. `max_body_bytes` bounds every request body. `trusted_proxies`
    are addresses or networks (such as `10.0.0.0/8`) whose `X-Forwarded-For` is believed. `cors_origins` are the web
    pages of other origins that may call the API. `ping_s` is the time without an event after which an event stream
    sends a ping, in seconds. `serve_docs` and `serve_root` say whether `/docs` and `/` are served.
    `root_path` is the path below which clients reach the API. `metrics` are served at `/metrics`, with their token.
    `exports` is the folder of exports that are written in the background; without it, there are none.
    With `probe_key`, `chatbill doctor` that has the same key may ask what the service sees of its request.
    """

    engine: str = "none"
    max_body_bytes: int = 1_048_576
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    ping_s: float = 15.0
    serve_docs: bool = True
    serve_root: bool = True
    root_path: str = ""
    metrics: MetricsPage | None = None
    exports: ExportFolder | None = None
    probe_key: bytes | None = None
