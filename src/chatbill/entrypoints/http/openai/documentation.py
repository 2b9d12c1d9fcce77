"""How handlers for OpenAI's clients say what they answer: in its shape, errors too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType

from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import NEEDS_SIGN_IN, returned
from chatbill.entrypoints.http.openai.errors import error_body, openai_status
from chatbill.entrypoints.web.event_stream import MEDIA_TYPE as EVENT_STREAM
from chatbill.entrypoints.web.problem_kinds import KINDS, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIErrorDetails:
    """What went wrong. Compare `code`, show `message`; what stands after `request_id` comes with some codes."""

    message: str
    type: str
    param: str | None
    code: str
    request_id: str
    required: int | None = None
    available: int | None = None
    cap: int | None = None
    interaction_id: str | None = None
    conversation_id: str | None = None
    credits_charged: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIError:
    """An error as OpenAI's clients know it."""

    error: OpenAIErrorDetails


@dataclass
class ChunksOperation(Operation):
    """An operation whose answer can also be a stream of chunks."""

    def __post_init__(self) -> None:
        """Add the second form of the good answer."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse) and answer.content is not None:
            answer.content[EVENT_STREAM] = OpenAPIMediaType(
                schema=Schema(type=OpenAPIType.STRING), examples={"stream": Example(value=examples.CHUNKS)}
            )


def documented_openai(model: Any, description: str, example: Any, *codes: str) -> dict[int, ResponseSpec]:
    """The good answer, and the errors with these codes."""
    listed = sorted((openai_status(KINDS[code].status), code) for code in {*codes, *NEEDS_SIGN_IN, "invalid_request"})
    errors = {
        status: _errors(status, [code for _, code in pairs])
        for status, pairs in groupby(listed, key=lambda pair: pair[0])
    }
    return {200: returned(model, description, example), **errors}


def _errors(status: int, codes: list[str]) -> ResponseSpec:
    titles = "; ".join(f"`{code}`: {KINDS[code].title.lower()}" for code in codes)
    values = [Example(summary=code, value=openai_example(code, status)) for code in codes]
    return ResponseSpec(data_container=OpenAIError, generate_examples=False, description=f"{titles}.", examples=values)


def openai_example(code: str, status: int) -> dict[str, Any]:
    """What an error with this code looks like."""
    kind = KINDS[code]
    members = examples.PROBLEM_MEMBERS.get(code, {})
    problem = Problem(code=code, detail=kind.detail or f"{kind.title}.", status=status, members=members)
    return error_body(problem, examples.REQUEST_ID)
