"""Describes the answers of handlers in the OpenAPI document, each with an example."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType

from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.web.event_stream import MEDIA_TYPE as EVENT_STREAM
from chatbill.entrypoints.web.problem_kinds import KINDS, Problem
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, ErrorFormat

NEEDS_SIGN_IN = ("unauthenticated", "token_expired", "forbidden", "store_unavailable")
MAY_BREAK = ("store_unavailable",)
MALFORMED = 400
MESSAGE_PROBLEMS = (
    "invalid_request",
    "insufficient_credits",
    "cap_reached",
    "spending_limit_reached",
    "request_in_progress",
    "request_interrupted",
    "idempotency_mismatch",
    "too_large",
    "context_length_exceeded",
    "rate_limited",
    "model_unavailable",
    "overloaded",
    "generation_failed",
    "generation_timeout",
    "interrupted",
)
"""What can go wrong with a message and its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """A field that is not valid, and the rule that it breaks."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDetails:
    """A problem (RFC 9457). Compare `code`, show `detail`; the members after `request_id` come with some codes."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldFault] | None = None
    required: int | None = None
    available: int | None = None
    cap: int | None = None
    scope: str | None = None
    interaction_id: str | None = None
    conversation_id: str | None = None
    credits_charged: int | None = None


def streaming(example: str) -> type[Operation]:
    """Return the class of an operation whose good answer can also be a stream of events such as the example."""

    @dataclass
    class StreamingOperation(Operation):
        def __post_init__(self) -> None:
            answer = (self.responses or {}).get("200")
            if isinstance(answer, OpenAPIResponse) and answer.content is not None:
                answer.content[EVENT_STREAM] = OpenAPIMediaType(
                    schema=Schema(type=OpenAPIType.STRING), examples={"stream": Example(value=example)}
                )

    return StreamingOperation


def documented(
    status: int,
    model: Any,
    description: str,
    example: Any,
    *,
    signed_in: bool = False,
    problems: Iterable[str] = (),
) -> dict[int, ResponseSpec]:
    """Return the answers of a handler: the good one, and the problems with these codes."""
    return {status: returned(model, description, example), **_problems(problems, signed_in=signed_in)}


def documented_empty(
    status: int, description: str, *, signed_in: bool = False, problems: Iterable[str] = ()
) -> dict[int, ResponseSpec]:
    """Return the same as `documented`, for a handler that answers without a body."""
    good = ResponseSpec(data_container=None, generate_examples=False, description=description)
    return {status: good, **_problems(problems, signed_in=signed_in)}


def returned(model: Any, description: str, example: Any) -> ResponseSpec:
    """Return the description of an answer with a body."""
    return ResponseSpec(
        data_container=model,
        generate_examples=False,
        description=description,
        examples=[Example(value=example)],
    )


def error_responses(codes: Iterable[str], errors: ErrorFormat, model: Any) -> dict[int, ResponseSpec]:
    """Return the error answers with these codes, by status, in the format and with the JSON model given."""
    # Requests that cannot be read, for example with a broken Host header, get 400 at every address.
    listed = {(MALFORMED, "invalid_request"), *((errors.status(KINDS[code].status), code) for code in codes)}
    by_status = groupby(sorted(listed), key=lambda pair: pair[0])
    return {status: _error_response(status, [code for _, code in pairs], errors, model) for status, pairs in by_status}


def _error_response(status: int, codes: list[str], errors: ErrorFormat, model: Any) -> ResponseSpec:
    titles = "; ".join(f"`{code}`: {KINDS[code].title.lower()}" for code in codes)
    return ResponseSpec(
        data_container=model,
        generate_examples=False,
        description=f"{titles}.",
        media_type=errors.media_type,
        examples=[
            Example(summary=code, description=KINDS[code].title, value=_error_example(code, status, errors))
            for code in codes
        ],
    )


def _error_example(code: str, status: int, errors: ErrorFormat) -> dict[str, Any]:
    kind, members = KINDS[code], examples.PROBLEM_MEMBERS.get(code, {})
    problem = Problem(code=code, detail=kind.detail or f"{kind.title}.", status=status, members=members)
    return errors.body(problem, examples.REQUEST_ID)


def _problems(codes: Iterable[str], *, signed_in: bool) -> dict[int, ResponseSpec]:
    return error_responses({*codes, *(NEEDS_SIGN_IN if signed_in else MAY_BREAK)}, PROBLEM_DETAILS, ProblemDetails)
