"""The components of the chat page."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

NEW = "new"
"""What the address names while the open conversation has no message."""

Updates = dict[Any, Any]
"""The answer of a handler: the new state of components. Components that are missing keep their state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widgets:
    """The components that handlers read or change.

    `current` is what the address names: the id of the open conversation, or `NEW`. `go` is clicked by the script of the
    page when the address changes. `next_page` is the cursor of the conversations after those that are listed.
    """

    identity: gr.HTML
    add_credits: gr.Button
    sign_out: gr.Button
    refresh: gr.Button
    ticker: gr.Timer
    watch: gr.Timer
    current: gr.Textbox
    go: gr.Button
    shop: ShopWidgets
    new_chat: gr.Button
    conversations: gr.Radio
    older: gr.Button
    newest: gr.Button
    next_page: gr.Textbox
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
    """The panel where credits are bought. `order` holds an idempotency key and the selected package."""

    panel: gr.Column
    packages: gr.Radio
    text: gr.Markdown
    choose: gr.Button
    confirm: gr.Button
    back: gr.Button
    close: gr.Button
    order: gr.Textbox
