"""What errors say to clients, people and logs: a stable code, a description, a short text."""

from __future__ import annotations

import pytest

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    CapReached,
    ChatbillError,
    FieldError,
    Forbidden,
    GenerationTimeout,
    InsufficientCredits,
    InvalidRequest,
    InvariantViolation,
    ModelUnavailable,
    NotFound,
    OutOfMemory,
    RateLimited,
    TooLarge,
)

FULL = Description("disk_full")


@pytest.mark.parametrize(
    ("error", "code", "description", "text"),
    [
        (Forbidden(), "forbidden", Description("forbidden"), "forbidden()"),
        (Forbidden("admin_only"), "forbidden", Description("admin_only"), "admin_only()"),
        (Forbidden(Description("admin_only")), "forbidden", Description("admin_only"), "admin_only()"),
        (OutOfMemory(), "generation_failed", Description("out_of_memory"), "out_of_memory()"),
        (
            NotFound("user", "alice"),
            "not_found",
            Description.of("not_found", what="user", name="alice"),
            "not_found(what=user, name=alice)",
        ),
        (
            InsufficientCredits(required=5, available=2),
            "insufficient_credits",
            Description.of("insufficient_credits", required=5, available=2),
            "insufficient_credits(required=5, available=2)",
        ),
        (
            CapReached(required=5, available=2, cap=9),
            "cap_reached",
            Description.of("cap_reached", required=5, available=2, cap=9),
            "cap_reached(required=5, available=2, cap=9)",
        ),
        (
            RateLimited("too_many_replies", retry_after_s=0, max=2),
            "rate_limited",
            Description.of("too_many_replies", retry_after_s=1, max=2),
            "too_many_replies(retry_after_s=1, max=2)",
        ),
        (
            GenerationTimeout(after_s=2.5, what="first_word"),
            "generation_timeout",
            Description.of("generation_timeout", what="first_word", after_s=2.5),
            "generation_timeout(what=first_word, after_s=2.5)",
        ),
        (
            ModelUnavailable("demo-mini", Description("service_stopping")),
            "model_unavailable",
            Description.of("model_unavailable", model="demo-mini", reason='{"code":"service_stopping"}'),
            "demo-mini is not available: service_stopping()",
        ),
        (
            InvariantViolation("two entries"),
            "internal_error",
            Description.of("text", text="two entries"),
            "two entries",
        ),
        (ChatbillError(), "internal_error", Description("internal_error"), "internal_error()"),
        (
            StoreUnavailable("no space", advice=FULL),
            "store_unavailable",
            Description.of("store_unavailable", advice=FULL.dumps(), cause="no space"),
            "disk_full: no space",
        ),
    ],
)
def test_an_error_has_a_code_a_description_and_a_short_text(
    error: ChatbillError, code: str, description: Description, text: str
) -> None:
    assert (error.code, error.description, str(error)) == (code, description, text)


def test_an_invalid_request_names_each_field_and_its_rule() -> None:
    error = InvalidRequest(
        FieldError("title", Description.of("too_long", max=200)), FieldError("seed", Description("not_64_bits"))
    )
    assert str(error) == "title: too_long(max=200); seed: not_64_bits()"
    assert Description.loads(error.description.dumps()) == error.description


def test_a_subclass_of_invalid_request_is_made_in_the_same_way() -> None:
    error = TooLarge.of("message", "too_long", max=10, length=11)
    assert (error.code, error.description.code) == ("too_large", "too_large")
    assert error.errors == (FieldError("message", Description.of("too_long", max=10, length=11)),)
