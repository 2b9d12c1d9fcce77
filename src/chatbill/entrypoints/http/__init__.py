"""The HTTP API: JSON and server-sent events."""

from chatbill.entrypoints.http.app import create_app
from chatbill.entrypoints.http.shared.config import HttpConfig

__all__ = ["HttpConfig", "create_app"]
