"""Examples of every answer for the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

REQUEST_ID: Final = "0b6f6c4e0f7f4c0c9f8a3d3f5a1e2b4c"
WHEN: Final = "2026-01-31T12:00:00Z"
INTERACTION_ID: Final = "01JJZ8K0WQ4V7M5N2B9T3C6D8E"
CONVERSATION_ID: Final = "01JJZ8K0WQ4V7M5N2B9T3C6D8F"

ACCOUNT: Final = {
    "id": "01JJZ8HY3S9R6P4N1A8S2B5C7D",
    "username": "ada",
    "email": "ada@example.org",
    "role": "user",
    "balance": 100,
    "created_at": WHEN,
    "locale": "en",
    "time_zone": "Europe/London",
    "spending_limit": {"day": 50, "month": None},
    "low_balance": 10,
    "email_verified": True,
}
TOKENS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.signature",
    "refresh_token": "3q2-7wAAAAD_0123456789abcdefghijklmnopqrst",
    "token_type": "bearer",
    "expires_in": 3600,
}
SECOND_FACTOR: Final = {
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "otpauth": "otpauth://totp/chatbill:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=chatbill",
}
RECOVERY_CODES: Final = {
    "recovery_codes": ["4N0VX-7Q2KD-9WZ1E-R5T8M-3B6HC", "P9ZK2-0MDXA-5VW7Q-1J4TE-8R3GN", "and eight more"]
}
MODEL: Final = {
    "id": "demo-mini",
    "name": "Demo mini",
    "tier": "mini",
    "price": {"per_reply": 1, "per_1k_prompt_tokens": 0, "per_1k_completion_tokens": 0},
    "available": True,
    "reason": None,
    "context_tokens": 2048,
    "max_reply_tokens": 512,
}
CHAT_STATUS: Final = {
    "engine": "transformers",
    "queue": {"running": 1, "queued": 0},
    "models": [
        {"id": "demo-mini", "state": "ready", "available": True, "reason": None, "running": 1, "queued": 0},
    ],
}
API_KEY: Final = {
    "id": "019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b",
    "name": "nightly job",
    "starts_with": "cb_019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b_",
    "active": True,
    "scopes": ["chat"],
    "monthly_cap": 500,
    "used_this_month": 0,
    "created_at": WHEN,
    "expires_at": None,
    "last_used_at": None,
}
SESSION: Final = {
    "id": "019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0c",
    "created_at": WHEN,
    "last_seen_at": WHEN,
    "address": "192.0.2.7",
    "client": "Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0",
    "current": True,
}
ISSUED_KEY: Final = {
    **API_KEY,
    "key": "cb_019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b_3q2-7wAAAAD_0123456789abcdefghijklmnopqrst01",
}
USAGE: Final = {"prompt_tokens": 21, "completion_tokens": 8}
REPLY: Final = {
    "id": INTERACTION_ID,
    "conversation_id": CONVERSATION_ID,
    "parent_id": None,
    "model": "demo-mini",
    "reply": "The capital of France is Paris.",
    "outcome": "completed",
    "usage": USAGE,
    "context": {"tokens": 21, "limit": 2048, "dropped_turns": 0},
    "credits_charged": 1,
    "balance": 99,
    "processing_time_ms": 740,
    "first_token_ms": 120,
    "error_code": None,
    "error_detail": None,
    "cached": False,
}
QUOTE: Final = {
    "held_at_most": 1,
    "expected": 1,
    "available": 99,
    "context": {"tokens": 24, "limit": 2048, "dropped_turns": 0},
    "counted": True,
}
STOPPING: Final = {"id": INTERACTION_ID, "status": "stopping"}
INTERACTION: Final = {
    "id": INTERACTION_ID,
    "conversation_id": CONVERSATION_ID,
    "model": "demo-mini",
    "prompt": "What is the capital of France? Answer in one sentence.",
    "reply": "The capital of France is Paris.",
    "outcome": "completed",
    "credits_charged": 1,
    "usage": USAGE,
    "processing_time_ms": 740,
    "dropped_turns": 0,
    "cached": False,
    "temporary": False,
    "created_at": WHEN,
    "error_code": None,
    "error_detail": None,
}
HISTORY: Final = {"items": [INTERACTION], "next_cursor": None}
CONVERSATION: Final = {
    "id": CONVERSATION_ID,
    "title": "Capitals",
    "created_at": WHEN,
    "updated_at": WHEN,
    "pinned": False,
}
CONVERSATIONS: Final = {"items": [CONVERSATION], "next_cursor": None}
THREAD: Final = {**CONVERSATION, "messages": [{**INTERACTION, "parent_id": None}], "next_cursor": None}
BALANCE: Final = {"balance": 99, "held": 0, "available": 99}
PACKAGE: Final = {"id": "small", "credits": 100, "bonus": 0, "price": {"amount": "4.99", "currency": "USD"}}
RECEIPT: Final = {
    "payment_id": "01JJZ8M2YB1C3D5E7F9G0H2J4K",
    "status": "confirmed",
    "credits_added": 100,
    "balance": 199,
    "checkout_url": None,
}
PENDING: Final = {
    "payment_id": "01JJZ8M2YB1C3D5E7F9G0H2J4K",
    "status": "pending",
    "credits_added": 0,
    "balance": 99,
    "checkout_url": "https://pay.example.org/checkout/01JJZ8M2YB",
}
REDEEMED: Final = {"credits_added": 50, "balance": 149}
TRANSACTIONS: Final = {
    "items": [
        {
            "id": "01JJZ8K1XA2B4C6D8E0F1G3H5J",
            "kind": "charge",
            "amount": -1,
            "balance_after": 99,
            "description": "Reply by demo-mini",
            "interaction_id": INTERACTION_ID,
            "payment_id": None,
            "created_at": WHEN,
        }
    ],
    "next_cursor": "2",
}
ADJUSTMENT: Final = {
    "id": "01JJZ8K1XA2B4C6D8E0F1G3H6K",
    "kind": "adjustment",
    "amount": 25,
    "balance_after": 124,
    "description": "Sorry for the outage",
    "interaction_id": None,
    "payment_id": None,
    "created_at": WHEN,
}
REFUND: Final = ADJUSTMENT | {
    "kind": "refund",
    "amount": 1,
    "balance_after": 100,
    "description": "The reply was useless",
    "interaction_id": INTERACTION_ID,
}
HEALTH: Final = {"status": "ok"}
READY: Final = {
    "ready": True,
    "status": "ready",
    "database": True,
    "models": {"demo-mini": True, "demo-pro": False},
    "missing": [],
    "why": {},
}
NOT_READY: Final = {
    "ready": False,
    "status": "unready",
    "database": False,
    "models": {"demo-mini": True, "demo-pro": False},
    "missing": ["database"],
    "why": {"database": "The disk is full. Free some space; nothing that was confirmed is lost."},
}
STREAM: Final = (
    f'event: accepted\ndata: {{"id":"{INTERACTION_ID}","conversation_id":"{CONVERSATION_ID}","held":1}}\n\n'
    'event: delta\ndata: {"text":"The capital"}\n\n'
    'event: delta\ndata: {"text":" of France is Paris."}\n\n'
    f'event: done\ndata: {{"id":"{INTERACTION_ID}","conversation_id":"{CONVERSATION_ID}","model":"demo-mini",'
    '"reply":"The capital of France is Paris.","outcome":"completed",'
    '"usage":{"prompt_tokens":21,"completion_tokens":8},"context":{"tokens":21,"limit":2048,"dropped_turns":0},'
    '"credits_charged":1,"balance":99,"processing_time_ms":740,"first_token_ms":120,'
    '"error_code":null,"error_detail":null,"cached":false}\n\n'
)

HISTORY_EXPORT: Final = {
    "items": [
        {
            "id": INTERACTION_ID,
            "conversation_id": CONVERSATION_ID,
            "created_at": WHEN,
            "model": "demo-mini",
            "prompt": "What is the capital of France?",
            "reply": "The capital of France is Paris.",
            "credits_charged": 1,
            "outcome": "completed",
            "prompt_tokens": 21,
            "completion_tokens": 8,
            "processing_time_ms": 900,
        }
    ]
}
TRANSACTIONS_EXPORT: Final = {"items": TRANSACTIONS["items"]}
OWN_DATA: Final = {
    "account": ACCOUNT,
    "sessions": [SESSION],
    "api_keys": [API_KEY],
    "conversations": [CONVERSATION],
    "messages": [INTERACTION],
    "transactions": TRANSACTIONS["items"],
}

_FAILED: Final = {"interaction_id": INTERACTION_ID, "conversation_id": CONVERSATION_ID, "credits_charged": 0}
OPENAI_MODEL: Final = {
    "id": "demo-mini",
    "object": "model",
    "created": 0,
    "owned_by": "chatbill",
    "name": "Demo mini",
    "available": True,
    "price": {"per_reply": 1, "per_1k_prompt_tokens": 0, "per_1k_completion_tokens": 0},
    "context_tokens": 2048,
    "max_reply_tokens": 512,
}
OPENAI_MODELS: Final = {"object": "list", "data": [OPENAI_MODEL]}
_COMPLETION_USAGE: Final = {**USAGE, "total_tokens": 29, "credits_charged": 1, "balance": 99, "cached": False}
COMPLETION: Final = {
    "id": f"chatcmpl-{INTERACTION_ID}",
    "object": "chat.completion",
    "created": 1769860800,
    "model": "demo-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The capital of France is Paris.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": _COMPLETION_USAGE,
}


def _chunk(delta: dict[str, str], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return f"data: {json.dumps({**COMPLETION, 'object': 'chat.completion.chunk', 'choices': [choice], 'usage': None})}"


CHUNKS: Final = "\n\n".join(
    [
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": "The capital of France is Paris."}),
        _chunk({}, "stop"),
        f"data: {json.dumps({**COMPLETION, 'object': 'chat.completion.chunk', 'choices': []})}",
        ": chatbill credits_charged=1 balance=99 cached=false",
        "data: [DONE]\n\n",
    ]
)
PROBLEM_MEMBERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "invalid_request": {"errors": [{"field": "model", "message": "is required"}]},
    "too_large": {"errors": [{"field": "body", "message": "must be at most 1048576 bytes"}]},
    "insufficient_credits": {"required": 3, "available": 2},
    "forbidden": {"scope": "read"},
    "cap_reached": {"required": 3, "available": 2, "cap": 500},
    "spending_limit_reached": {"required": 3, "available": 2, "limit": 50, "period": "day"},
    "generation_failed": _FAILED,
    "generation_timeout": _FAILED,
    "interrupted": _FAILED,
    "request_interrupted": _FAILED,
}
"""The members of problems with some codes, beside the standard ones."""
