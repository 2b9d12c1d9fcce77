"""The components of the chat page."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

Updates = dict[Any, Any]
"""The answer of a handler: the new state of components. Components that are missing keep their state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widgets:
    """The components that handlers read or change."""

    identity: gr.HTML
    add_credits: gr.Button
    sign_out: gr.Button
    refresh: gr.Button
    ticker: gr.Timer
    watch: gr.Timer
    shop: ShopWidgets
    new_chat: gr.Button
    conversations: gr.Radio
    delete: gr.Button
    api_keys: gr.Button
    account: gr.Button
    chat: gr.Chatbot
    model: gr.Radio
    box: gr.Textbox
    send: gr.Button
    stop: gr.Button

    @property
    def all(self) -> list[Any]:
        """Return every component, because every handler may change any."""
        own = [getattr(self, field.name) for field in fields(self) if field.name != "shop"]
        return own + [getattr(self.shop, field.name) for field in fields(self.shop)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopWidgets:
    """The panel where credits are bought. `order` holds the selected package and its idempotency key."""

    panel: gr.Column
    packages: gr.Radio
    text: gr.Markdown
    choose: gr.Button
    confirm: gr.Button
    back: gr.Button
    close: gr.Button
    order: gr.State
