"""What the templates of the chat show, as texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatbill.application.chat.list_models import ModelOffer
from chatbill.application.chat.quote_message import Quote
from chatbill.application.chat.read_branch import BranchTurn
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ConversationId, HoldId, InteractionId, UserId, WalletId
from chatbill.entrypoints.ui.chat import rendering
from chatbill.entrypoints.ui.shared.templates import html
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


def shown(one: Interaction, *siblings: str) -> str:
    """Return the HTML of a turn."""
    beside = tuple(map(InteractionId, siblings or (one.id,)))
    turn = rendering.TurnView.of(BranchTurn(interaction=one, parent_id=None, siblings=beside), NAMES)
    models = [
        rendering.ModelChoice.of(ModelOffer(model, ModelStatus(state=ModelState.READY))) for model in CATALOGUE.values()
    ]
    return html("chat/turn.html", turn=turn, models=models)


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


def test_a_model_in_trouble_is_named_says_why_and_cannot_be_chosen() -> None:
    ready = ModelOffer(CATALOGUE[MINI], ModelStatus(state=ModelState.READY))
    absent = ModelOffer(
        CATALOGUE[PRO], ModelStatus(state=ModelState.UNAVAILABLE, reason=Description("model_service_stopping"))
    )
    choices = [rendering.ModelChoice.of(offer) for offer in (absent, ready)]
    menu = html("chat/models.html", models=choices, troubles=[each for each in choices if each.trouble], model=PRO)
    pro, mini = menu.split("<label")[1:3]
    assert "disabled" in pro
    assert "checked" in mini
    assert "Demo mini <i>· fast</i> · " in mini
    assert "Demo pro cannot be chosen now: the service is stopping" in menu


def test_a_message_is_shown_as_it_was_typed() -> None:
    typed = replace(interaction(Outcome.COMPLETED), prompt="<i>**x**</i>\n\n  $$y$$ `z` &amp;\ttab")
    assert '<div class="cb-said">&lt;i&gt;**x**&lt;/i&gt;\n\n  $$y$$ `z` &amp;amp;\ttab</div>' in shown(typed)


def test_a_reply_is_markdown_and_never_html() -> None:
    assert "<p><strong>a</strong> &lt;b&gt;</p>" in shown(interaction(Outcome.COMPLETED, reply="**a** <b>"))


def test_a_charged_reply_shows_its_model_its_cost_and_its_duration() -> None:
    page = shown(interaction(Outcome.COMPLETED, reply="Because.", charged=1))
    assert 'Demo mini · <span class="cb-credits">1 credit</span> · 1.2 s</p>' in page
    assert "Copy reply" in page
    assert 'Regenerate · <span class="cb-credits">1 credit</span>' in page
    assert '<span class="cb-verb">Regenerate </span>with Demo pro · <span class="cb-credits">3 credits</span>' in page


def test_a_stopped_reply_is_marked_even_if_it_is_empty() -> None:
    page = shown(interaction(Outcome.STOPPED))
    assert "0 credits</span> · 1.2 s · stopped" in page
    assert "Copy reply" not in page


def test_a_cached_reply_is_marked() -> None:
    assert "· cached" in shown(replace(interaction(Outcome.COMPLETED, reply="Because.", charged=1), cached=True))


@pytest.mark.parametrize(("turns", "what"), [(1, "the oldest message"), (1_234, "the oldest 1,234 messages")])
def test_a_reply_says_what_of_its_conversation_was_not_read(turns: int, what: str) -> None:
    trimmed = Description.of("context_trimmed", dropped_turns=turns)
    page = shown(replace(interaction(Outcome.COMPLETED, reply="Because.", charged=1), error_detail=trimmed))
    assert f"The model did not read {what} of this conversation" in page


def test_a_reply_that_a_content_filter_ended_says_so() -> None:
    ended = replace(
        interaction(Outcome.STOPPED, reply="Beca"),
        error_code="content_filter",
        error_detail=Description("content_filter"),
    )
    assert "A content filter of the model&#39;s server ended this reply." in shown(ended)


def test_a_failed_reply_shows_its_text_its_error_and_its_id() -> None:
    page = shown(interaction(Outcome.FAILED, reply="Beca", detail="It broke <b>."))
    assert "<p>Beca</p>" in page
    assert "It broke &lt;b&gt;." in page
    assert "Nothing was charged. Request id: <code>i</code>" in page


def test_a_reply_that_is_being_written_says_so() -> None:
    page = shown(interaction(Outcome.RUNNING))
    assert "Demo mini · writing…" in page
    assert 'data-ended="0" data-running="1" aria-busy="true"' in page


def test_a_turn_leads_to_its_versions_before_and_after() -> None:
    page = shown(interaction(Outcome.COMPLETED), "h", "i", "j")
    assert "<span>2/3</span>" in page
    assert 'href="c/c?at=h"' in page
    assert 'href="c/c?at=j"' in page
    assert "cb-switch" not in shown(interaction(Outcome.COMPLETED))


def test_erased_texts_can_be_neither_edited_nor_answered_again() -> None:
    page = shown(replace(interaction(Outcome.COMPLETED), prompt=""))
    assert "The text was erased." in page
    assert "Edit" not in page
    assert "Regenerate" not in page


def test_a_quote_says_the_most_what_is_there_and_what_is_read() -> None:
    quote = Quote(
        held_at_most=3, expected=2, available=1_250, prompt_tokens=1_000, dropped_turns=2, limit=2_048, is_counted=True
    )
    assert rendering.quote_texts(quote) == {
        "text": "up to 3 credits, you have 1,250",
        "window": "Reads 1,000 of 2,048 tokens, without the oldest 2 messages",
        "enough": True,
    }
    assert rendering.quote_texts(replace(quote, available=2))["enough"] is False


def test_the_share_of_the_window_is_told() -> None:
    read = replace(interaction(Outcome.COMPLETED), usage=Usage(prompt_tokens=400, completion_tokens=112))
    assert rendering.window_text(read, 2_048) == "25% of the window is used"
    assert not rendering.window_text(read, None)
    assert not rendering.window_text(interaction(Outcome.COMPLETED), 2_048)


def test_conversations_are_sorted_into_days() -> None:
    ages = (timedelta(), timedelta(hours=1), timedelta(days=1), timedelta(days=9))
    chats = [
        Conversation(id=ConversationId(f"c{n}"), user_id=UserId("u"), title="", created_at=NOON, updated_at=NOON - age)
        for n, age in enumerate(ages)
    ]
    days, last = rendering.days_of(chats, NOON)
    assert [(day.name, len(day.chats)) for day in days] == [("Today", 2), ("Yesterday", 1), ("Dec 23, 2025", 1)]
    again, _ = rendering.days_of(chats[3:], NOON, after=last)
    assert [day.name for day in again] == [""]
