"""The web app: sign-in and registration as plain pages, the chat as a Gradio page over the same use cases."""

from chatbill.entrypoints.ui.app import create_web, end_streams
from chatbill.entrypoints.ui.config import WebConfig

__all__ = ["WebConfig", "create_web", "end_streams"]
