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
ALERT: Final = {
    "id": "01JJZ8K1XA2B4C6D8E0F1G3H7L",
    "kind": "model_unhealthy",
    "subject": "demo-pro at chat-1:4711",
    "severity": "critical",
    "message": "The model demo-pro does not write (model_silent).",
    "evidence": {"model": "demo-pro", "reason": "model_silent"},
    "times": 1,
    "opened_at": WHEN,
    "seen_at": WHEN,
    "closed_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
}
ALERTS: Final = {"items": [ALERT], "next_cursor": None}
ACKNOWLEDGED: Final = ALERT | {"acknowledged_at": WHEN, "acknowledged_by": "01JJZ8K1XA2B4C6D8E0F1G3H2A"}
PARTS: Final = {
    "state": "degraded",
    "parts": [
        {"name": "database", "state": "ok", "reason": None},
        {"name": "model demo-mini", "state": "ok", "reason": None},
        {"name": "jobs", "state": "degraded", "reason": "1 jobs failed; see: chatbill jobs list --state failed"},
    ],
}
_TIMES: Final = {"p50": 410, "p95": 1_200, "p99": 2_300}
LIVE: Final = {
    "at": WHEN,
    "seconds": 300,
    "requests": {"count": 240, "per_s": 0.8, "error_percent": 0.42, "latency_ms": _TIMES},
    "models": [
        {
            "id": "demo-mini",
            "status": "ready",
            "healthy": True,
            "running": 2,
            "queued": 0,
            "batch_size": 8,
            "memory_bytes": 145_000_000,
            "replies": {"completed": 118, "stopped": 2},
            "cached": 4,
            "tokens_per_s": 61.5,
            "latency_ms": _TIMES,
            "first_token_ms": _TIMES,
        }
    ],
    "machine": {
        "process_bytes": 900_000_000,
        "free_bytes": 5_000_000_000,
        "total_bytes": 8_000_000_000,
        "disk_free_bytes": 40_000_000_000,
        "disk_total_bytes": 64_000_000_000,
        "cpu_percent": 55.0,
        "gpus": [],
    },
    "open_holds": 2,
    "expired_holds": 0,
    "jobs": {"verify_ledger queued": 1},
    "open_alerts": {},
}
ANALYSIS: Final = {
    "findings": [
        {
            "code": "advice_queue",
            "advice": "demo-pro let requests wait for their turn in 2460 s of the last 3600 s: its batch of 8 was "
            "full. Raise CHATBILL_BATCH_SIZE if memory allows, or add a server.",
            "evidence": {"model": "demo-pro", "waited_s": 2460, "of_s": 3600, "batch_size": 8},
        }
    ]
}
FREED: Final = {"before_bytes": 3_900_000_000, "after_bytes": 1_100_000_000}
