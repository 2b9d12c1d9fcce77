"""Describes the answers to OpenAI's clients in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.openapi.datastructures import ResponseSpec

from chatbill.entrypoints.http.documentation.responses import NEEDS_SIGN_IN, error_responses, returned
from chatbill.entrypoints.http.openai.errors import OPENAI_ERRORS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIErrorDetails:
    """An error. Compare `code`, show `message`; the members after `request_id` come with some codes."""

    message: str
    type: str
    param: str | None
    code: str
    request_id: str
    required: int | None = None
    available: int | None = None
    cap: int | None = None
    scope: str | None = None
    interaction_id: str | None = None
    conversation_id: str | None = None
    credits_charged: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIError:
    """An error in the format of OpenAI."""

    error: OpenAIErrorDetails


def documented_openai(model: Any, description: str, example: Any, *codes: str) -> dict[int, ResponseSpec]:
    """Return the good answer, and the errors with these codes."""
    errors = error_responses({*codes, *NEEDS_SIGN_IN}, OPENAI_ERRORS, OpenAIError)
    return {200: returned(model, description, example), **errors}
