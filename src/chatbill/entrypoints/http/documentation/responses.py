"""How handlers say what they answer: the good answer with an example, and each problem with its own."""

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
from chatbill.entrypoints.web.problem_kinds import KINDS, TYPE_PREFIX
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS

NEEDS_SIGN_IN = ("unauthenticated", "token_expired", "store_unavailable")
MAY_BREAK = ("store_unavailable",)
MALFORMED = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """One field at fault and what to change."""

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
    interaction_id: str | None = None
    conversation_id: str | None = None
    credits_charged: int | None = None


@dataclass
class StreamOperation(Operation):
    """An operation whose answer can also be a stream of events."""

    def __post_init__(self) -> None:
        """Add the second form of the good answer."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse) and answer.content is not None:
            answer.content[EVENT_STREAM] = OpenAPIMediaType(
                schema=Schema(type=OpenAPIType.STRING), examples={"stream": Example(value=examples.STREAM)}
            )


def documented(
    status: int,
    model: Any,
    description: str,
    example: Any,
    *,
    signed_in: bool = False,
    problems: Iterable[str] = (),
) -> dict[int, ResponseSpec]:
    """The answers of a handler: the good one, and the problems with these codes."""
    return {status: returned(model, description, example), **_problems(problems, signed_in=signed_in)}


def documented_empty(
    status: int, description: str, *, signed_in: bool = False, problems: Iterable[str] = ()
) -> dict[int, ResponseSpec]:
    """As `documented`, for a handler that answers without a body."""
    good = ResponseSpec(data_container=None, generate_examples=False, description=description)
    return {status: good, **_problems(problems, signed_in=signed_in)}


def returned(model: Any, description: str, example: Any) -> ResponseSpec:
    """One answer with a body."""
    return ResponseSpec(
        data_container=model,
        generate_examples=False,
        description=description,
        examples=[Example(value=example)],
    )


def problem_example(code: str, status: int) -> dict[str, Any]:
    """What a problem with this code looks like."""
    kind = KINDS[code]
    return {
        "type": TYPE_PREFIX + code,
        "title": kind.title,
        "status": status,
        "detail": kind.detail or f"{kind.title}.",
        "code": code,
        "request_id": examples.REQUEST_ID,
        **examples.PROBLEM_MEMBERS.get(code, {}),
    }


def _problems(codes: Iterable[str], *, signed_in: bool) -> dict[int, ResponseSpec]:
    every = {*codes, *(NEEDS_SIGN_IN if signed_in else MAY_BREAK)}
    # What cannot be read at all, such as a broken Host header, can come to any address.
    listed = [(MALFORMED, "invalid_request"), *((KINDS[code].status, code) for code in every)]
    by_status = groupby(sorted(listed), key=lambda pair: pair[0])
    return {status: _problem_response(status, [code for _, code in pairs]) for status, pairs in by_status}


def _problem_response(status: int, codes: list[str]) -> ResponseSpec:
    titles = "; ".join(f"`{code}`: {KINDS[code].title.lower()}" for code in codes)
    return ResponseSpec(
        data_container=ProblemDetails,
        generate_examples=False,
        description=f"{titles}.",
        media_type=PROBLEM_DETAILS.media_type,
        examples=[
            Example(summary=code, description=KINDS[code].title, value=problem_example(code, status)) for code in codes
        ],
    )
