"""Words for actions of the audit trail and for codes in alerts."""

from __future__ import annotations

from chatbill.domain.shared.audit_trail import AuditAction, Facts
from chatbill.domain.shared.descriptions import Param
from chatbill.entrypoints.web.language import Language, speaking
from chatbill.entrypoints.web.texts.audit import ACTIONS, action_text, fact_text, subject_text
from chatbill.entrypoints.web.texts.monitoring import alert_text


def test_every_action_has_words_of_its_own() -> None:
    assert set(ACTIONS) == set(AuditAction)
    assert len({action_text(each) for each in AuditAction}) == len(AuditAction)


def test_actions_are_told_in_the_language_of_the_reader() -> None:
    with speaking(Language("ru")):
        assert action_text(AuditAction.SIGNED_IN) == "Вход"
    assert action_text(AuditAction.SIGNED_IN) == "Signed in"


def test_a_kind_of_subject_without_words_is_shown_as_it_is() -> None:
    assert (subject_text("api_key"), subject_text("caption")) == ("API key", "caption")


def test_a_fact_is_told_in_words_and_one_of_a_later_version_by_its_name() -> None:
    facts: Facts = {"sessions_ended": 2, "monthly_cap": None, "link": True, "of_a_later_version": "x"}
    assert [fact_text(facts, name) for name in facts] == [
        "sessions ended: 2",
        "monthly cap: none",
        "link made: yes",
        "of_a_later_version: x",
    ]
    with speaking(Language("ru")):
        assert fact_text({"role": "viewer"}, "role") == "роль: viewer"


def test_an_alert_has_words_for_its_codes_and_keeps_those_that_it_does_not_know() -> None:
    moved: dict[str, Param] = {"event": "adjusted", "amount": 5, "wallet_id": "w"}
    assert alert_text("money_moved", moved) == "5 credits were moved by hand (an adjustment) in the wallet w."
    unknown = alert_text("model_unhealthy", {"model": "mini", "reason": "of_a_later_version"})
    assert unknown == "The model mini does not write (of_a_later_version)."
    assert "(the engine does not know this model)" in alert_text(
        "model_unhealthy", {"model": "mini", "reason": "model_unknown"}
    )
