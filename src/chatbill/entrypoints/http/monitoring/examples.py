"""Examples of monitoring for the OpenAPI document."""

from __future__ import annotations

from typing import Final

from chatbill.entrypoints.http.documentation.examples import REQUEST_ID, WHEN

LOG_EVENT: Final = {
    "at": WHEN,
    "level": "info",
    "logger": "chatbill.entrypoints.web.envelope",
    "event": "request",
    "facts": {"request_id": REQUEST_ID, "method": "POST", "route": "/chat/message", "status": 200, "ms": 812},
}
LOGS: Final = {"items": [LOG_EVENT]}
