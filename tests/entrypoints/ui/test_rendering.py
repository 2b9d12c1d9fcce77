from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chatbill.application.accounts.open_account import Account
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.payments import Money, Package
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits, InvalidRequest, Overloaded, RateLimited
from chatbill.domain.shared.ids import ConversationId, HoldId, InteractionId, UserId, WalletId
from chatbill.entrypoints.ui.chat import rendering
from chatbill.entrypoints.ui.markdown import to_html
from tests.kit.support import CATALOGUE, MINI, PRO

NAMES = {MINI: "Demo mini", PRO: "Demo pro"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def interaction(outcome: Outcome, *, reply: str = "", charged: int = 0, detail: str | None = None) -> Interaction:
    return Interaction(
        id=InteractionId("i"),
        conversation_id=ConversationId("c"),
        user_id=UserId("u"),
        wallet_id=WalletId("w"),
        hold_id=HoldId("h"),
        model=MINI,
        price=Price(per_reply=1),
        held=1,
        prompt="Why?",
        created_at=NOON,
        reply=reply,
        outcome=outcome,
        credits_charged=charged,
        processing_time_ms=None if outcome is Outcome.RUNNING else 1_234,
        error_detail=Description.of("text", text=detail) if detail else None,
    )


def texts(messages: list[rendering.ChatMessage]) -> list[str]:
    return [message["content"]["text"] for message in messages]


@pytest.mark.parametrize(
    ("amount", "currency", "text"), [("4.5", "EUR", "€4.50"), ("1000", "USD", "$1,000.00"), ("3", "CHF", "3.00 CHF")]
)
def test_money_is_shown_with_the_symbol_of_its_currency(amount: str, currency: str, text: str) -> None:
    assert rendering.money_text(Money(Decimal(amount), currency)) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0.0 s"), (440, "0.4 s"), (99_940, "99.9 s"), (99_960, "1 min 40 s"), (125_000, "2 min 5 s")],
)
def test_a_duration_is_shown_with_a_suitable_precision(milliseconds: int, text: str) -> None:
    assert rendering.duration_text(milliseconds) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (Price(per_reply=0), "free"),
        (Price(per_reply=3), "3 credits"),
        (Price(per_reply=1, per_1k_prompt_tokens=2), "1 credit + 2 per 1,000 tokens read"),
        (Price(per_reply=0, per_1k_completion_tokens=5), "5 per 1,000 tokens written"),
    ],
)
def test_a_price_shows_every_part(price: Price, text: str) -> None:
    assert rendering.price_text(price) == text


def test_a_model_is_shown_with_its_price_and_why_it_is_not_available() -> None:
    ready = ModelOffer(CATALOGUE[MINI], ModelStatus(state=ModelState.READY))
    absent = ModelOffer(
        CATALOGUE[PRO], ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_service_stopping"))
    )
    assert rendering.model_label(ready) == "Demo mini · 1 credit"
    assert rendering.model_label(absent) == "Demo pro · 3 credits — not available: the service is stopping"


def test_a_username_is_escaped() -> None:
    account = Account(
        user_id=UserId("u"), username="<b>", email="b@example.org", role=UserRole.USER, balance=99, created_at=NOON
    )
    assert "&lt;b&gt;" in rendering.identity(account)
    assert ">99 credits<" in rendering.identity(account)


def test_a_user_message_is_shown_as_it_was_typed() -> None:
    (text,) = texts([rendering.user_message("<i>**x**</i>\n\n  $$y$$ `z` &amp;\ttab")])
    assert text == '<div class="cb-said">&lt;i&gt;**x**&lt;/i&gt;\n\n  $$y$$ `z` &amp;amp;\ttab</div>'


def test_a_reply_is_markdown_and_never_html() -> None:
    (text, _) = texts(rendering.reply_messages(interaction(Outcome.COMPLETED, reply="**a** <b>"), NAMES))
    assert text == '<div class="cb-md prose"><p><strong>a</strong> &lt;b&gt;</p>\n</div>'


def test_a_charged_reply_shows_its_model_its_cost_and_its_duration() -> None:
    messages = rendering.reply_messages(interaction(Outcome.COMPLETED, reply="Because.", charged=1), NAMES)
    assert "Because." in texts(messages)[0]
    summary = rendering.reply_summary(interaction(Outcome.COMPLETED, reply="Because.", charged=1), NAMES)
    assert summary == "Demo mini · 1 credit · 1.2 s"
    assert summary in texts(messages)[1]


def test_a_stopped_reply_is_marked_even_if_it_is_empty() -> None:
    stopped = interaction(Outcome.STOPPED)
    assert rendering.reply_summary(stopped, NAMES) == "Demo mini · 0 credits · 1.2 s · stopped"
    assert len(rendering.reply_messages(stopped, NAMES)) == 1


def test_a_cached_reply_is_marked() -> None:
    cached = replace(interaction(Outcome.COMPLETED, reply="Because.", charged=1), cached=True)
    assert rendering.reply_summary(cached, NAMES) == "Demo mini · 1 credit · 1.2 s · cached"


@pytest.mark.parametrize(("turns", "what"), [(1, "the oldest message"), (1_234, "the oldest 1,234 messages")])
def test_a_reply_says_what_of_its_conversation_was_not_read(turns: int, what: str) -> None:
    trimmed = Description.of("context_trimmed", dropped_turns=turns)
    reply = replace(interaction(Outcome.COMPLETED, reply="Because.", charged=1), error_detail=trimmed)
    text = f"The model did not read {what} of this conversation, which no longer fit into its window."
    written, aside, summary = rendering.reply_messages(reply, NAMES)
    assert written == rendering.model_message(to_html("Because."))
    assert aside == rendering.note(text)
    assert summary == rendering.note(rendering.reply_summary(reply, NAMES))


def test_a_reply_that_a_content_filter_ended_says_so() -> None:
    ended = replace(
        interaction(Outcome.STOPPED, reply="Beca"),
        error_code="content_filter",
        error_detail=Description("content_filter"),
    )
    written, why, _ = rendering.reply_messages(ended, NAMES)
    assert written == rendering.model_message(to_html("Beca"))
    assert why == rendering.note("A content filter of the model's server ended this reply.")


def test_a_failed_reply_shows_its_text_and_its_error() -> None:
    failed = interaction(Outcome.FAILED, reply="Beca", detail="It broke; nothing was charged.")
    reply, error, _ = texts(rendering.reply_messages(failed, NAMES))
    assert "<p>Beca</p>" in reply
    assert 'role="alert"' in error
    assert "It broke; nothing was charged." in error


def test_a_reply_that_is_still_empty_shows_its_status() -> None:
    (line,) = texts(rendering.partial_reply("", MINI, NAMES))
    assert "Demo mini · writing…" in line


def test_a_conversation_is_shown_oldest_first() -> None:
    newer, older = interaction(Outcome.COMPLETED, reply="second"), interaction(Outcome.COMPLETED, reply="first")
    shown = " ".join(texts(rendering.transcript([newer, older], NAMES)))
    assert shown.index("first") < shown.index("second")


def test_an_error_says_which_credits_are_needed_and_available_and_what_to_do() -> None:
    assert rendering.error_text(InsufficientCredits(required=3, available=1)) == (
        "Not enough credits: this reply needs 3 credits and you have 1 credit. "
        "Choose “Add credits” at the top of the page."
    )
    assert rendering.error_text(InvalidRequest.of("message", "empty")) == "This message must not be empty."
    assert "nothing was charged" in rendering.error_text(Overloaded())


def test_a_limit_of_one_person_says_what_it_is_about_and_when_to_come_back() -> None:
    unpaid = rendering.error_text(RateLimited("too_much_unpaid", retry_after_s=90))
    assert "ended unpaid within an hour" in unpaid
    assert "Try again in 90 s" in unpaid
    share = rendering.error_text(RateLimited("share_of_queue_taken", retry_after_s=2, count=33))
    assert "33 of your messages have a place at this model" in share
    assert "ask the operator" in rendering.error_text(RateLimited("too_many_registrations", retry_after_s=90))


def test_the_shop_shows_the_note_or_says_who_adds_credits() -> None:
    package = Package(id="m", credits=500, bonus=0, price=Money(Decimal("4.50"), "EUR"))
    assert rendering.shop_text([package], "This is a sandbox.") == "This is a sandbox."
    assert "An administrator adds them" in rendering.shop_text([], "This is a sandbox.")


def test_a_package_shows_its_bonus_and_an_order_its_price_and_credits() -> None:
    package = Package(id="m", credits=500, bonus=50, price=Money(Decimal("4.50"), "EUR"))
    assert rendering.package_label(package) == "500 credits + 50 bonus · €4.50"
    assert rendering.order_text(package, "A test.") == "You pay **€4.50** and receive **550 credits**. A test."
