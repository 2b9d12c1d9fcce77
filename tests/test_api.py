"""The public surface: a name that goes, or a reference page that is not up to date, is a failure."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from chatbill import api
from tests.kit.reference import page

ROOT = Path(__file__).parent.parent

PROMISED = {
    "Accepted",
    "Account",
    "AdminAction",
    "AlreadySettled",
    "ApiKeyId",
    "BillingEvent",
    "BillingStore",
    "BillingTransaction",
    "Capture",
    "Catalogue",
    "Cause",
    "Charge",
    "Charges",
    "ChatbillError",
    "Checkout",
    "Chunk",
    "Clock",
    "Completed",
    "Conflict",
    "Context",
    "ContextLengthExceeded",
    "ConversationId",
    "Credentials",
    "Delta",
    "Description",
    "Difference",
    "Engine",
    "EntryId",
    "EntryKind",
    "EventKind",
    "ExpireHolds",
    "Failed",
    "Forbidden",
    "GREEDY_BELOW",
    "Generation",
    "GenerationFailed",
    "GenerationRequest",
    "Hold",
    "HoldId",
    "HoldState",
    "IdempotencyMismatch",
    "IdempotencyRecord",
    "InsufficientCredits",
    "Interaction",
    "InteractionId",
    "InvalidRequest",
    "InvariantViolation",
    "LedgerEntry",
    "Limit",
    "ListEvents",
    "MAX_CREDITS",
    "MAX_HOLD_S",
    "MemoryStore",
    "Message",
    "Model",
    "ModelId",
    "ModelState",
    "ModelStatus",
    "ModelUnavailable",
    "Money",
    "NewId",
    "NotFound",
    "Order",
    "Outcome",
    "Overloaded",
    "Owner",
    "Package",
    "Passwords",
    "Payment",
    "PaymentEvent",
    "PaymentId",
    "PaymentProvider",
    "PaymentStatus",
    "Policy",
    "Ports",
    "Posting",
    "Price",
    "PriceList",
    "Principal",
    "Promise",
    "RateLimited",
    "RateLimits",
    "Receipt",
    "RecordedEvent",
    "Registration",
    "ReplyBounds",
    "Role",
    "SandboxPayments",
    "SessionId",
    "SignedIn",
    "Snapshot",
    "Stopped",
    "Store",
    "StoreUnavailable",
    "Subject",
    "SystemClock",
    "THINKING",
    "Tally",
    "Tier",
    "TokenExpired",
    "TokenLifetimes",
    "Tokens",
    "TooLarge",
    "Transaction",
    "Turn",
    "Unauthenticated",
    "Usage",
    "UseCases",
    "UserId",
    "UserRole",
    "Uuid7Ids",
    "Verdict",
    "VerifyLedger",
    "Wallet",
    "WalletId",
    "assemble",
    "keep_hold",
    "keep_posting",
    "settle_hold",
}
"""Names that may be removed in a major version only; new ones are added here."""


def test_no_promised_name_is_missing_and_each_new_one_is_promised() -> None:
    assert set(api.__all__) == PROMISED


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(api, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)


def test_the_reference_is_what_the_docstrings_say() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == page(), (
        "run: python -m tests.kit.reference > docs/reference.md"
    )
