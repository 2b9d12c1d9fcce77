"""Renders templates. Every value is escaped, texts are translated, and figures are written as the language has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context

from chatbill.domain.billing.payments import Money
from chatbill.entrypoints.web import language
from chatbill.entrypoints.web.texts import credits_text, render


def html(template: str, /, **values: Any) -> str:
    """Return the HTML of a template of the package, in the language of this context."""
    return environment().get_template(template).render(**values)


def address(path: str, asked: Mapping[str, object], **changed: object) -> str:
    """Return the address of a path with these parameters; those that are empty are left out."""
    query = urlencode({name: value for name, value in {**asked, **changed}.items() if value})
    return f"{path}?{query}" if query else path


@cache
def environment() -> Environment:
    """Return the environment of the templates."""
    made = Environment(
        loader=PackageLoader("chatbill.entrypoints.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        language.gettext, language.ngettext, newstyle=True, pgettext=language.pgettext
    )
    made.globals["address"] = address
    made.globals["translated"] = _translated
    filters: dict[str, Callable[..., str]] = {
        "credits": credits_text,
        "number": lambda value: language.current().number(value),
        "signed": lambda value: language.current().signed(value),
        "money": _money,
        "unit_price": _unit_price,
        "moment": lambda at: language.current().moment(at),
        "day": lambda at: language.current().day(at),
        "clock": lambda at: language.current().time(at),
        "iso": _iso,
        "said": render,
    }
    made.filters.update({name: _in_context(written) for name, written in filters.items()})
    return made


def _in_context(written: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that Jinja applies when it renders: it would write constants once, in one language for all."""
    return pass_context(lambda _context, *values: written(*values))


def _money(money: Money) -> str:
    return language.current().money(money.amount, money.currency)


def _unit_price(money: Money, count: int) -> str:
    return language.current().unit_price(money.amount / count, money.currency)


def _iso(at: datetime) -> str:
    return at.isoformat()


def _translated(names: dict[str, str]) -> list[tuple[str, str]]:
    """Return the keys with their names in the language of the context."""
    return [(key, language.gettext(name)) for key, name in names.items()]
