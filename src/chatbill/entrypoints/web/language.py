"""Languages of texts: translations by gettext, and numbers, money and times as a language writes them.

Texts are written in English in the code and looked up in `locales/LANGUAGE/LC_MESSAGES/chatbill.po`. The language of a
request is in a context variable, so that functions which render texts need no parameter for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from typing import Final

from babel import Locale, dates, negotiate_locale, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

DOMAIN: Final = "chatbill"
LANGUAGES: Final = ("en", "ru")
"""The languages that the page speaks, as tags of BCP 47. The first one is that of the code."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language, and the time zone of the person who reads it."""

    tag: str = LANGUAGES[0]
    zone: tzinfo = UTC

    @property
    def locale(self) -> Locale:
        """Return the rules of the language for numbers and dates."""
        return Locale.parse(self.tag, sep="-")

    @property
    def translations(self) -> NullTranslations:
        """Return the translated texts; those of English are the texts of the code."""
        return _translations(self.tag)

    def number(self, value: float | Decimal) -> str:
        """Return a number with the separators of the language."""
        return numbers.format_decimal(value, locale=self.locale)

    def signed(self, value: int) -> str:
        """Return a number with its sign: a plus, or the sign of the language for less than zero."""
        return f"+{self.number(value)}" if value > 0 else self.number(value)

    def unit_price(self, amount: Decimal, currency: str) -> str:
        """Return the price of one of many, with up to four decimals, as in "€0.0083"."""
        pattern = self.locale.currency_formats["standard"].pattern.replace("0.00", "0.00##")
        return numbers.format_currency(amount, currency, pattern, locale=self.locale, currency_digits=False)

    def money(self, amount: Decimal, currency: str) -> str:
        """Return an amount of money, as in "€4.50"."""
        return numbers.format_currency(amount, currency, locale=self.locale)

    def day(self, at: datetime | date) -> str:
        """Return a date, as in "Nov 27, 2026"."""
        return dates.format_date(self._here(at), "medium", locale=self.locale)

    def time(self, at: datetime) -> str:
        """Return a time of day, as in "18:05"."""
        return dates.format_time(at, "short", tzinfo=self.zone, locale=self.locale)

    def moment(self, at: datetime) -> str:
        """Return a date and a time of day, in the time zone of the reader."""
        return dates.format_datetime(at, "medium", tzinfo=self.zone, locale=self.locale)

    def _here(self, at: datetime | date) -> date:
        return at.astimezone(self.zone).date() if isinstance(at, datetime) else at


ENGLISH: Final = Language()
_current: ContextVar[Language] = ContextVar("language", default=ENGLISH)


@cache
def _translations(tag: str) -> NullTranslations:
    """Return the texts of a language, compiled from its file once."""
    if tag == LANGUAGES[0]:
        return NullTranslations()
    source = resources.files("chatbill.entrypoints.web") / "locales" / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    compiled = io.BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=tag, domain=DOMAIN))
    compiled.seek(0)
    return GNUTranslations(compiled)


def language_of(chosen: str | None, accepted: str, zone: tzinfo = UTC) -> Language:
    """Return the language that a person has `chosen`, or else the first of a header Accept-Language that is spoken."""
    wanted = [chosen] if chosen else [part.split(";")[0].strip() for part in accepted.split(",")]
    tags = [each for tag in wanted for each in (tag, tag.split("-")[0])]
    return Language(negotiate_locale(tags, LANGUAGES, sep="-") or LANGUAGES[0], zone)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Let the texts of this context be in this language."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Language:
    """Return the language of this context: English where none is set."""
    return _current.get()


def gettext(text: str) -> str:
    """Return the translation of a text; the text itself where there is none."""
    return current().translations.gettext(text)


def N_(text: str) -> str:  # noqa: N802 - the usual name
    """Mark a text that is translated where it is used; return it as it is."""
    return text


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the translation of a text in the form for this number."""
    return current().translations.ngettext(singular, plural, count)


def pgettext(context: str, text: str) -> str:
    """Return the translation of a text that means different things in different places."""
    return current().translations.pgettext(context, text)
