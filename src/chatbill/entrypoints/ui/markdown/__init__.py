"""Turns texts of models and people into HTML for the page: they are Markdown or plain text, and never HTML."""

from chatbill.entrypoints.ui.markdown.live import LiveMarkdown
from chatbill.entrypoints.ui.markdown.pipeline import to_html
from chatbill.entrypoints.ui.markdown.text import escaped, literal

__all__ = ["LiveMarkdown", "escaped", "literal", "to_html"]
