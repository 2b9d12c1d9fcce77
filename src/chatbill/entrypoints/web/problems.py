"""Everything that can go wrong, as problem details (RFC 9457)."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Scope

from chatbill.application.chat.events import Failed
from chatbill.domain.shared.errors import (
    CapReached,
    ChatbillError,
    FieldError,
    InsufficientCredits,
    InvalidRequest,
    Unauthenticated,
)
from chatbill.entrypoints.http.openai.errors import error_body, is_openai, openai_status
from chatbill.entrypoints.web.problem_kinds import CODE_OF_STATUS, KINDS, UNSPOKEN, Problem
from chatbill.entrypoints.web.request_ids import request_id_of
from chatbill.entrypoints.web.texts import render
from chatbill.entrypoints.web.wording import parameter_fault

MEDIA_TYPE: Final = "application/problem+json"

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


def problem_of(error: Exception) -> Problem:
    """What a client is told about an error."""
    match error:
        case ValidationException():
            return problem_of(_in_words(error))
        case HTTPException():
            return _of_framework(error)
        case MalformedRequest():
            return _problem(error.code, render(error.description), status=400, members=_members(error))
        case ChatbillError():
            return _problem(error.code, render(error.description), members=_members(error), headers=_headers(error))
        case _:
            return _problem("internal_error", "")


def problem_of_reply(failed: Failed) -> Problem:
    """What a client is told when a reply that was accepted did not become whole."""
    members = {
        "interaction_id": failed.interaction.id,
        "conversation_id": failed.interaction.conversation_id,
        "credits_charged": failed.interaction.credits_charged,
    }
    return _problem(failed.code, failed.detail, members=members, headers=_retry_after(failed.retry_after_s))


def answer_with_problem(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer any error with its problem; what nobody expected is logged with its traceback."""
    problem = problem_of(error)
    if problem.code in UNSPOKEN:
        _log.error("%s %s failed: %s", request.method, request.scope.get("path_template"), problem.code, exc_info=error)
    return response_of(problem, request)


def response_of(problem: Problem, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """The problem as a response."""
    media_type, content = told(problem, request.scope, request_id_of(request.scope))
    status = openai_status(problem.status) if is_openai(request.scope) else problem.status
    return Response(content, status_code=status, headers=dict(problem.headers), media_type=media_type)


def told(problem: Problem, scope: Scope, request_id: str) -> tuple[str, dict[str, Any]]:
    """The problem in the words that clients of this address know, and the media type of those."""
    if is_openai(scope):
        return "application/json", error_body(problem, request_id)
    return MEDIA_TYPE, problem.body(request_id)


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
        case CapReached():
            return {"required": error.required, "available": error.available, "cap": error.cap}
        case InsufficientCredits():
            return {"required": error.required, "available": error.available}
        case _:
            return {}


def _headers(error: ChatbillError) -> dict[str, str]:
    challenge = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    return challenge | _retry_after(error.retry_after_s)


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _in_words(error: ValidationException) -> InvalidRequest:
    """What the framework found wrong with a request, in words of our own."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return MalformedRequest.of("body", "is required: send a JSON object")
    faults = [FieldError(str(fault.get("key", "request")), parameter_fault(fault["message"])) for fault in found]
    return InvalidRequest(*faults or [FieldError("request", "lacks something that is required")])
