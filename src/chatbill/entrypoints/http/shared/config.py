"""What the HTTP entry point needs to know, whoever read it from wherever."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Facts and limits of one HTTP application.

    `engine` is the name shown by `GET /chat/status`. `max_body_bytes` bounds every request body. `trusted_proxies`
    are addresses or networks (such as `10.0.0.0/8`) whose `X-Forwarded-For` counts. `cors_origins` are the web
    pages of other origins that may call the API. `ping_s` is how often a silent event stream says that it lives, in
    seconds. `serve_docs` and `serve_root` say whether `/docs` and `/` are answered here.
    """

    engine: str = "none"
    max_body_bytes: int = 1_048_576
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    ping_s: float = 15.0
    serve_docs: bool = True
    serve_root: bool = True
