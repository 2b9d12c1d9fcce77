"""The texts of the page in other languages. `python -m tests.kit.translations` brings the files up to date.

New texts are added without a translation, and texts that are gone are removed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from chatbill.entrypoints.web.language import DOMAIN, LANGUAGES
from chatbill.entrypoints.web.texts import TEMPLATES
from chatbill.entrypoints.web.texts.monitoring import ALERTS

ENTRYPOINTS = Path(__file__).parents[2] / "src" / "chatbill" / "entrypoints"
METHODS = [("**/locales/**", "ignore"), ("**/ui/templates/**.html", "jinja2"), ("**.py", "python")]
KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
OPTIONS = {"**/ui/templates/**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}


def file_of(language: str) -> Path:
    """Return the file with the translations into a language."""
    return ENTRYPOINTS / "web" / "locales" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def texts() -> Catalog:
    """Return every text that can be shown to people."""
    catalog = Catalog(charset="utf-8")
    for text, context in sorted(_texts(), key=str):
        catalog.add(text, context=context)
    return catalog


def _texts() -> Iterator[tuple[Any, str | None]]:
    found = extract_from_dir(ENTRYPOINTS.parent, METHODS, OPTIONS, keywords=KEYWORDS)
    yield from ((text, context) for _, _, text, _, context in found)
    yield from ((template, None) for template in (*TEMPLATES.values(), *ALERTS.values()) if isinstance(template, str))


def translated(language: str) -> Catalog:
    """Return the translations into a language."""
    with file_of(language).open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> int:
    """Bring the file of a language up to date; return how many texts have no translation."""
    known = translated(language)
    known.update(texts(), no_fuzzy_matching=True)
    known.obsolete.clear()
    written = io.BytesIO()
    write_po(written, known, width=110, no_location=True, sort_output=True, omit_header=False)
    file_of(language).write_bytes(written.getvalue())
    return sum(not all(_strings(message.string)) for message in known if message.id)


def _strings(string: Any) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


if __name__ == "__main__":
    for each in LANGUAGES[1:]:
        print(f"{each}: {update(each)} texts without a translation")  # noqa: T201 - its output
