"""The configuration of the web page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """The configuration of the web page.

    A sign-in in the browser lasts `session_s` seconds. Open pages have at most `max_streams` event streams, each of
    which is a connection. `payment_note` is shown where credits are bought, for example to say that the provider is a
    sandbox. `temporary_chats` are offered where each browser stays at one process.
    """

    title: str = "chatbill"
    session_s: int = 30 * 24 * 3_600
    max_streams: int = 400
    payment_note: str = ""
    temporary_chats: bool = True
