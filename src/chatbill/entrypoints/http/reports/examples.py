"""Examples of reports for the documentation."""

from __future__ import annotations

from typing import Any, Final

_PERIOD: Final = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z", "tz": "UTC"}
_USAGE: Final[dict[str, Any]] = {
    "requests": 120,
    "completed": 117,
    "stopped": 2,
    "failed": 1,
    "timed_out": 0,
    "interrupted": 0,
    "prompt_tokens": 4210,
    "completion_tokens": 18350,
    "credits_charged": 119,
    "latency_ms_p50": 1240,
    "latency_ms_p95": 4810,
    "latency_ms_p99": 9020,
    "first_token_ms_p50": 210,
    "first_token_ms_p95": 690,
}
USAGE_REPORT: Final = {
    "period": _PERIOD,
    "group_by": "model",
    "rows": [{"key": "demo-mini", "name": None, **_USAGE}],
    "total": {"key": None, "name": None, **_USAGE},
}
_SPENDING: Final = {"requests": 4, "prompt_tokens": 96, "completion_tokens": 310, "credits_charged": 6}
SPENDING: Final = {
    "period": _PERIOD,
    "group_by": "day",
    "rows": [{"key": "2026-01-01", **_SPENDING}],
    "total": {"key": None, **_SPENDING},
}
_CREDITS: Final[dict[str, Any]] = {
    "opening": 0,
    "sold": 500,
    "bonus": 50,
    "granted": 100,
    "charged": 119,
    "given_back": 1,
    "refunded": 0,
    "adjusted": -10,
    "closing": 521,
    "paid_closing": 500,
    "free_closing": 21,
    "money": [{"currency": "EUR", "received": "4.50", "owed": "4.50"}],
}
FINANCIAL_REPORT: Final = {
    "period": _PERIOD,
    "group_by": "month",
    "rows": [{"key": "2026-01", "name": None, **_CREDITS}],
    "total": {"key": None, "name": None, **_CREDITS},
}
ENTRIES: Final = {
    "items": [
        {
            "id": "01JJZ8K1C7V3D9Q2M6B5T8X4Y0",
            "created_at": "2026-01-31T12:00:00Z",
            "user_id": "01JJZ8HY3S9R6P4N1A8S2B5C7D",
            "wallet_id": "01JJZ8HY3S9R6P4N1A8S2B5C7E",
            "kind": "charge",
            "amount": -1,
            "balance_after": 99,
            "description": "Reply by demo-mini",
            "interaction_id": "01JJZ8K0WQ4V7M5N2B9T3C6D8E",
            "payment_id": None,
            "author": None,
        }
    ],
    "next_cursor": None,
}
REQUESTS: Final = {
    "items": [
        {
            "id": "01JJZ8K0WQ4V7M5N2B9T3C6D8E",
            "created_at": "2026-01-31T11:59:58Z",
            "finished_at": "2026-01-31T12:00:00Z",
            "user_id": "01JJZ8HY3S9R6P4N1A8S2B5C7D",
            "api_key_id": None,
            "conversation_id": "01JJZ8K0WQ4V7M5N2B9T3C6D8F",
            "model": "demo-mini",
            "outcome": "completed",
            "cached": False,
            "prompt_tokens": 21,
            "completion_tokens": 8,
            "credits_charged": 1,
            "processing_time_ms": 2000,
            "first_token_ms": 310,
            "error_code": None,
            "prompt": None,
            "reply": None,
        }
    ],
    "next_cursor": None,
}
DASHBOARD: Final = {
    "period": _PERIOD,
    "users": {"total": 40, "new": 3, "active": 17},
    "requests": {
        "total": 120,
        "by_outcome": {"completed": 117, "stopped": 2, "failed": 1, "timed_out": 0, "interrupted": 0},
    },
    "credits": {
        "sold": 500,
        "bonus": 50,
        "granted": 100,
        "charged": 119,
        "given_back": 1,
        "refunded": 0,
        "adjusted": -10,
        "held": 3,
        "owned": 521,
        "owed": 500,
        "money": [{"currency": "EUR", "received": "4.50", "owed": "4.50"}],
    },
    "models": [
        {
            "id": "demo-mini",
            "status": "ready",
            "requests": 120,
            "tokens_per_s": 61.4,
            "latency_ms": {"p50": 1240, "p95": 4810, "p99": 9020},
            "memory_bytes": None,
        }
    ],
    "alerts": [],
}
PERIOD_REPORT: Final = {"summary": DASHBOARD, "usage": USAGE_REPORT | {"group_by": "day"}, "alerts": []}

EXPORT: Final = {
    "id": "019a2b6e-0d51-7c3e-9d3c-5b0f1c2d3e4f",
    "what": "ledger",
    "state": "running",
    "rows": 120_000,
    "error": None,
    "created_at": "2026-02-01T12:00:00Z",
    "expires_at": "2026-02-02T12:00:00Z",
}
EXPORTS: Final = {"items": [EXPORT]}
