from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chatbill.application.accounts.register import Account
from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.payments import Money, Package
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits, InvalidRequest, Overloaded
from chatbill.domain.shared.ids import ConversationId, HoldId, InteractionId, UserId, WalletId
from chatbill.entrypoints.ui import rendering
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
        error_detail=detail,
    )


def texts(messages: list[rendering.ChatMessage]) -> list[str]:
    return [message["content"] for message in messages]


@pytest.mark.parametrize(
    ("amount", "currency", "words"), [("4.5", "EUR", "€4.50"), ("1000", "USD", "$1,000.00"), ("3", "CHF", "3.00 CHF")]
)
def test_money_is_written_with_its_sign_where_there_is_one(amount: str, currency: str, words: str) -> None:
    assert rendering.money_text(Money(Decimal(amount), currency)) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(0, "0.0 s"), (440, "0.4 s"), (99_940, "99.9 s"), (99_960, "1 min 40 s"), (125_000, "2 min 5 s")],
)
def test_time_is_told_as_precisely_as_it_matters(milliseconds: int, words: str) -> None:
    assert rendering.duration_text(milliseconds) == words


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (Price(per_reply=0), "free"),
        (Price(per_reply=3), "3 credits"),
        (Price(per_reply=1, per_1k_prompt_tokens=2), "1 credit + 2 per 1,000 tokens read"),
        (Price(per_reply=0, per_1k_completion_tokens=5), "5 per 1,000 tokens written"),
    ],
)
def test_a_price_names_every_part(price: Price, words: str) -> None:
    assert rendering.price_text(price) == words


def test_a_model_is_offered_with_its_price_and_with_the_reason_when_it_cannot_answer() -> None:
    ready = ModelOffer(CATALOGUE[MINI], ModelStatus(state=ModelState.READY))
    absent = ModelOffer(
        CATALOGUE[PRO], ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_service_stopping"))
    )
    assert rendering.model_label(ready) == "Demo mini · 1 credit"
    assert rendering.model_label(absent) == "Demo pro · 3 credits — not available: the service is stopping"


def test_a_name_is_never_html() -> None:
    account = Account(
        user_id=UserId("u"), username="<b>", email="b@example.org", role=UserRole.USER, balance=99, created_at=NOON
    )
    assert "&lt;b&gt;" in rendering.identity(account)
    assert ">99 credits<" in rendering.identity(account)


def test_what_a_person_says_keeps_no_character_that_could_mean_something() -> None:
    content = rendering.person_said("<i>**x**</i>\n\n$$y$$ `z` &amp;")["content"]
    inside = content.removeprefix('<pre class="cb-said">').removesuffix("</pre>")
    assert not set(inside) & set("<>*$`\n")
    assert "&#60;i&#62;" in inside


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a < b and b > c", "a < b and b > c"),
        ("<img src=x> <!-- c -->", "&lt;img src=x> &lt;!-- c -->"),
        ("one<br>two<br/>", "one<br>two<br/>"),
        ("![a cat](http://example.org/cat.png)", "[a cat](http://example.org/cat.png)"),
        ("`<b>` and <b>", "`<b>` and &lt;b>"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("~~~\n![](x)", "~~~\n![](x)"),
    ],
)
def test_a_reply_is_markdown_that_loads_nothing(written: str, shown: str) -> None:
    assert rendering.inert(written) == shown


def test_a_charged_reply_shows_who_wrote_it_what_it_cost_and_how_long_it_took() -> None:
    messages = rendering.answer(interaction(Outcome.COMPLETED, reply="Because.", charged=1), NAMES)
    assert messages[0] == {"role": "assistant", "content": "Because."}
    small_print = rendering.small_print(interaction(Outcome.COMPLETED, reply="Because.", charged=1), NAMES)
    assert small_print == "Demo mini · 1 credit · 1.2 s"
    assert rendering.literally(small_print) in messages[1]["content"]


def test_a_stopped_reply_says_so_even_where_nothing_was_written() -> None:
    stopped = interaction(Outcome.STOPPED)
    assert rendering.small_print(stopped, NAMES) == "Demo mini · 0 credits · 1.2 s · stopped"
    assert len(rendering.answer(stopped, NAMES)) == 1


def test_an_answer_given_before_says_so() -> None:
    cached = replace(interaction(Outcome.COMPLETED, reply="Because.", charged=1), cached=True)
    assert rendering.small_print(cached, NAMES) == "Demo mini · 1 credit · 1.2 s · cached"


def test_a_failed_reply_shows_what_came_of_it_and_what_went_wrong() -> None:
    failed = interaction(Outcome.FAILED, reply="Beca", detail="It broke; nothing was charged.")
    reply, trouble, _ = texts(rendering.answer(failed, NAMES))
    assert reply == "Beca"
    assert 'role="alert"' in trouble
    assert rendering.literally("It broke; nothing was charged.") in trouble


def test_a_reply_in_the_making_has_its_line_from_the_start() -> None:
    (line,) = texts(rendering.being_written("", MINI, NAMES))
    assert rendering.literally("Demo mini · writing…") in line


def test_a_conversation_is_told_oldest_first() -> None:
    newer, older = interaction(Outcome.COMPLETED, reply="second"), interaction(Outcome.COMPLETED, reply="first")
    shown = texts(rendering.transcript([newer, older], NAMES))
    assert shown.index("first") < shown.index("second")


def test_a_refusal_says_what_is_needed_what_there_is_and_what_to_do() -> None:
    assert rendering.refusal_text(InsufficientCredits(required=3, available=1)) == (
        "Not enough credits: this reply needs 3 credits and you have 1 credit. "
        "Choose “Add credits” at the top of the page."
    )
    assert (
        rendering.refusal_text(InvalidRequest.of("message", "must not be empty")) == "This message must not be empty."
    )
    assert "nothing was charged" in rendering.refusal_text(Overloaded())


def test_a_package_shows_its_bonus_and_an_order_what_is_paid_and_received() -> None:
    package = Package(id="m", credits=500, bonus=50, price=Money(Decimal("4.50"), "EUR"))
    assert rendering.package_label(package) == "500 credits + 50 bonus · €4.50"
    assert rendering.order_text(package, "A test.") == "You pay **€4.50** and receive **550 credits**. A test."
