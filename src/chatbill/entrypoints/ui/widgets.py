"""The components of the chat page, by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

Updates = dict[Any, Any]
"""What a handler answers: a component and what becomes of it. Components that are not named stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widgets:
    """Everything that handlers read or change."""

    identity: gr.HTML
    add_credits: gr.Button
    sign_out: gr.Button
    refresh: gr.Button
    ticker: gr.Timer
    watch: gr.Timer
    shop: Shelf
    new_chat: gr.Button
    conversations: gr.Radio
    delete: gr.Button
    api_keys: gr.Button
    chat: gr.Chatbot
    model: gr.Radio
    box: gr.Textbox
    send: gr.Button
    stop: gr.Button

    @property
    def all(self) -> list[Any]:
        """Every component, which is what every handler may change."""
        own = [getattr(self, field.name) for field in fields(self) if field.name != "shop"]
        return own + [getattr(self.shop, field.name) for field in fields(self.shop)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where credits are bought. `order` is what was chosen, with the key that makes it happen once."""

    panel: gr.Column
    packages: gr.Radio
    words: gr.Markdown
    choose: gr.Button
    confirm: gr.Button
    back: gr.Button
    close: gr.Button
    order: gr.State
