"""The web page: plain pages for sign-in and registration, and a Gradio page for the chat."""

from chatbill.entrypoints.ui.importing import without_stubs

with without_stubs():
    from chatbill.entrypoints.ui.app import create_web, end_streams

from chatbill.entrypoints.ui.shell.config import WebConfig

__all__ = ["WebConfig", "create_web", "end_streams"]
