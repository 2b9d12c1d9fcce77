"""Messages for the errors that validators find in requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

FALLBACK: Final = "is not valid"

BODY_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode, without lone surrogates",
    "string_too_short": "must be at least {min_length} characters long",
    "string_too_long": "must be at most {max_length} characters long",
    "string_pattern_mismatch": "holds a character that is not allowed",
    "int_type": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""A message for each type of error of pydantic that a request body can have."""

PARAMETER_MESSAGES: Final = (
    (re.compile(r"^Expected `int`"), "must be a whole number"),
    (re.compile(r"^Missing required"), "is required"),
)


def body_message(kind: str, context: Mapping[str, Any]) -> str:
    """Return the message for an error in a body, by pydantic's type of the error."""
    return BODY_MESSAGES.get(kind, FALLBACK).format_map(context)


def parameter_message(message: str) -> str:
    """Return the message for an error in a parameter, by the message of msgspec."""
    return next((text for pattern, text in PARAMETER_MESSAGES if pattern.search(message)), FALLBACK)
