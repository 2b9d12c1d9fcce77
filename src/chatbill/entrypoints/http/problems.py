"""Everything that can go wrong, as problem details (RFC 9457): the one place where errors meet HTTP."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from chatbill.application.events import Failed
from chatbill.domain.errors import (
    ChatbillError,
    FieldError,
    InsufficientCredits,
    InvalidRequest,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from chatbill.entrypoints.http.request_ids import request_id_of
from chatbill.entrypoints.http.wording import parameter_fault

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:chatbill:problem:"

_log = logging.getLogger(__name__)


class MalformedRequest(InvalidRequest):
    """The body cannot be read at all: it is not JSON, or not an object."""


class UnsupportedMediaType(ChatbillError):
    """The body comes in a format that is not understood here."""

    code = "unsupported_media_type"


class ClientLeft(MalformedRequest):
    """The client closed the connection before it was answered: whatever is said now, nobody hears it."""

    def __init__(self) -> None:
        super().__init__(FieldError("connection", "was closed"))


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems with one code share. `title` is for people, `detail` stands in where none may be shown."""

    status: int
    title: str
    detail: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_request": Kind(422, "The request breaks a rule"),
    "unauthenticated": Kind(401, "Sign in first"),
    "invalid_credentials": Kind(401, "Name or password is wrong"),
    "token_expired": Kind(401, "The token has expired"),
    "insufficient_credits": Kind(402, "Not enough credits"),
    "forbidden": Kind(403, "Not allowed"),
    "not_found": Kind(404, "Not found", "There is nothing at this address."),
    "method_not_allowed": Kind(405, "Method not allowed", "This address does not answer to this method."),
    "conflict": Kind(409, "Conflict"),
    "username_taken": Kind(409, "The username is taken"),
    "email_taken": Kind(409, "The e-mail address has an account"),
    "request_in_progress": Kind(409, "The first request is still running"),
    "too_large": Kind(413, "Too large", "The body of the request is too large."),
    "unsupported_media_type": Kind(415, "Unsupported media type"),
    "idempotency_mismatch": Kind(422, "The idempotency key came with another request"),
    "rate_limited": Kind(429, "Too many requests"),
    "internal_error": Kind(500, "Internal error", "Something went wrong here, not with you. It has been logged."),
    "generation_failed": Kind(502, "The model failed"),
    "model_unavailable": Kind(503, "The model is not available"),
    "overloaded": Kind(503, "All places are taken"),
    "interrupted": Kind(503, "The service stopped"),
    "store_unavailable": Kind(503, "The database is not available", "The database does not answer. Try again shortly."),
    "generation_timeout": Kind(504, "The reply took too long"),
}
"""Every code there is. A problem is found by its code; the status follows from it."""

UNSPOKEN: Final = frozenset({"internal_error", "store_unavailable"})
"""Codes whose errors speak to the operator; clients get the words of the kind."""

CODE_OF_STATUS: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem before it is written: `members` are those beside the standard ones."""

    code: str
    detail: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """The problem as JSON has it."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }


def problem_of(error: Exception) -> Problem:
    """What a client is told about an error."""
    match error:
        case ValidationException():
            return problem_of(_in_words(error))
        case HTTPException():
            return _of_framework(error)
        case MalformedRequest():
            return _problem(error.code, str(error), status=400, members=_members(error))
        case ChatbillError():
            return _problem(error.code, str(error), members=_members(error), headers=_headers(error))
        case _:
            return _problem("internal_error", "")


def problem_of_reply(failed: Failed) -> Problem:
    """What a client is told when a reply that was accepted did not become whole."""
    members = {
        "interaction_id": failed.interaction.id,
        "conversation_id": failed.interaction.conversation_id,
        "credits_charged": failed.interaction.credits_charged,
    }
    return _problem(failed.code, failed.detail, members=members)


def answer_with_problem(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer any error with its problem; what nobody expected is logged with its traceback."""
    problem = problem_of(error)
    if problem.code in UNSPOKEN:
        _log.error("%s %s failed: %s", request.method, request.scope.get("path_template"), problem.code, exc_info=error)
    return response_of(problem, request)


def response_of(problem: Problem, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """The problem as a response."""
    return Response(
        problem.body(request_id_of(request.scope)),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )


def _problem(
    code: str,
    detail: str,
    *,
    status: int | None = None,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Problem:
    if code not in KINDS:
        _log.error("the code %r has no status; it is answered as an internal error", code)
        code = "internal_error"
    kind = KINDS[code]
    shown = kind.detail if code in UNSPOKEN or not detail else detail
    return Problem(code=code, detail=shown, status=status or kind.status, members=members or {}, headers=headers or {})


def _of_framework(error: HTTPException) -> Problem:
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in {"allow", "retry-after"}}
    if code := CODE_OF_STATUS.get(error.status_code):
        return _problem(code, "", headers=headers)
    if error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _problem("invalid_request", "The request could not be understood.", status=400, members={"errors": []})
    return _problem("internal_error", "")


def _members(error: ChatbillError) -> dict[str, Any]:
    match error:
        case InvalidRequest():
            return {"errors": [{"field": fault.field, "message": fault.message} for fault in error.errors]}
        case InsufficientCredits():
            return {"required": error.required, "available": error.available}
        case _:
            return {}


def _headers(error: ChatbillError) -> dict[str, str]:
    match error:
        case RateLimited() | Overloaded():
            return {"Retry-After": str(error.retry_after_s)}
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case _:
            return {}


def _in_words(error: ValidationException) -> InvalidRequest:
    """What the framework found wrong with a request, in words of our own."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return MalformedRequest.of("body", "is required: send a JSON object")
    faults = [FieldError(str(fault.get("key", "request")), parameter_fault(fault["message"])) for fault in found]
    return InvalidRequest(*faults or [FieldError("request", "lacks something that is required")])
