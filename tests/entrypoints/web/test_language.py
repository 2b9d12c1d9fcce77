from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chatbill.domain.shared.descriptions import Description
from chatbill.entrypoints.web.language import LANGUAGES, Language, language_of, speaking
from chatbill.entrypoints.web.texts import credits_text, render
from tests.kit.translations import texts, translated

OTHERS = LANGUAGES[1:]


def strings(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s|\{(\w+)(?:[:!][^}]*)?\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    known = translated(language)
    missing = [
        message.id
        for message in texts()
        if message.id and not ((found := known.get(message.id, message.context)) and all(strings(found.string)))
    ]
    assert not missing, f"translate these in the .po file after `python -m tests.kit.translations`: {missing[:20]}"


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_placeholders_of_their_texts(language: str) -> None:
    for message in translated(language):
        wanted = placeholders(strings(message.id)[-1]) if message.id else set()
        for string in strings(message.string) if message.id else ():
            assert placeholders(string) == wanted, message.id


def test_russian_has_three_forms_of_a_credit() -> None:
    with speaking(Language("ru")):
        shown = [credits_text(count) for count in (1, 2, 5, 11, 21, 1_250)]
    assert shown == ["1 кредит", "2 кредита", "5 кредитов", "11 кредитов", "21 кредит", "1\xa0250 кредитов"]
    assert credits_text(1_250) == "1,250 credits"


def test_figures_and_times_are_written_as_the_language_has_them() -> None:
    at = datetime(2026, 11, 27, 21, 5, tzinfo=UTC)
    russian = Language("ru", ZoneInfo("Europe/Moscow"))
    assert russian.day(at).startswith("28 нояб. 2026")
    assert russian.time(at) == "00:05"
    assert russian.money(Decimal("4.50"), "EUR") == "4,50\xa0€"
    assert Language().money(Decimal("4.50"), "EUR") == "€4.50"


@pytest.mark.parametrize(
    ("chosen", "accepted", "spoken"),
    [
        (None, "", "en"),
        (None, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        (None, "fr, ru;q=0.5", "ru"),
        (None, "*", "en"),
        ("ru", "en", "ru"),
        ("zh-Hant-TW", "ru", "en"),
        (None, "ru;" * 5_000, "ru"),
        (None, "\x00,;=", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_what_the_browser_accepts(
    chosen: str | None, accepted: str, spoken: str
) -> None:
    assert language_of(chosen, accepted).tag == spoken


def test_words_for_codes_are_in_the_language_of_the_context() -> None:
    description = Description.of("context_trimmed", dropped_turns=3)
    english = render(description)
    with speaking(Language("ru")):
        assert render(description) != english
    assert render(description) == english


def test_amounts_have_their_sign_and_a_price_of_one_has_the_decimals_that_it_needs() -> None:
    assert [Language().signed(value) for value in (1_000, 0, -3)] == ["+1,000", "0", "-3"]
    assert Language().unit_price(Decimal("49.99") / 1_800, "USD") == "$0.0278"
    assert Language().unit_price(Decimal("0.50"), "USD") == "$0.50"
    assert Language("ru").unit_price(Decimal("0.025"), "EUR") == "0,025\xa0€"
