"""Templates for ledger entries, holds and payments."""

from __future__ import annotations

BILLING: dict[str, str] = {
    "by_hand": "{reason}",
    "code_redeemed": "Code redeemed",
    "payment_refunded": "Payment refunded, {package}",
    "reply": "Reply by {model}",
    "text": "{text}",
    "top_up": "Purchase, {package}",
    "unknown": "Unknown",
    "welcome_credits": "Welcome credits",
}
