"""Checks of parameters that the API and the page share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeVar

from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import ModelId

E = TypeVar("E", bound=StrEnum)

MAX_ID_CHARS: Final = 64
MAX_QUERY_CHARS: Final = 200
MAX_LINE_CHARS: Final = 1_024
"""The longest text that is looked up or hashed. The domain has the rules for names and passwords."""


def could_be_id(value: str) -> bool:
    """Return False for text that cannot be an id, so that the store is not asked for it."""
    return 0 < len(value) <= MAX_ID_CHARS and value.isprintable()


def checked_text(field: str, text: str | None) -> str | None:
    """Return the text to search for, at most 200 characters without NUL; None for empty text."""
    if text is None or not text:
        return None
    if "\x00" in text:
        raise InvalidRequest.of(field, "nul_character")
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidRequest.of(field, "too_long", max=MAX_QUERY_CHARS)
    return text


def checked_choice(field: str, text: str | None, kind: type[E], *, among: Iterable[E] | None = None) -> E | None:
    """Return the member of an enumeration, or of some of it; None stays None. Raises `InvalidRequest` for others."""
    if text is None:
        return None
    known = [str(member.value) for member in among or kind]
    if text not in known:
        raise InvalidRequest.of(field, "not_one_of", known=", ".join(known))
    return kind(text)


def checked_model(use_cases: UseCases, model: str | None) -> ModelId | None:
    """Return the id of a model of the catalogue; None stays None. Raises `InvalidRequest`."""
    if model is None:
        return None
    known = [offer.model.id for offer in use_cases.chat.list_models()]
    if model not in known:
        raise InvalidRequest.of("model", "unknown_model", known=", ".join(known))
    return ModelId(model)
