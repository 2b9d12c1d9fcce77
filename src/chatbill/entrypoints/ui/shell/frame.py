"""The Gradio page. It has one component without content: the frame and its views are beside it."""

from __future__ import annotations

import os
import sys

import gradio as gr

from chatbill.entrypoints.ui.shell.config import WebConfig


def build_page(config: WebConfig) -> gr.Blocks:
    """Return the page. It has no data of any person and no events: those come from the routes of the views."""
    blocks = gr.Blocks(title=config.title, analytics_enabled=False, fill_height=True, fill_width=True)
    with blocks:
        gr.HTML("", elem_id="cb-page", apply_default_css=False, js_on_load=None)
    # Gradio computes statistics for every event, which are not used here.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    return blocks
