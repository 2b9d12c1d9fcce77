"""Maps errors to problems, and problems to responses in the format that the client reads."""

from __future__ import annotations

import http
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Scope

from chatbill.application.chat.events import Failed
from chatbill.domain.accounts.preferences import SpendingLimitReached
from chatbill.domain.accounts.scopes import ScopeMissing
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    CapReached,
    ChatbillError,
    FieldError,
    InsufficientCredits,
    InvalidRequest,
    Unauthenticated,
)
from chatbill.entrypoints.web.problem_kinds import CODE_OF_STATUS, HIDDEN_DETAILS, KINDS, Problem
from chatbill.entrypoints.web.request_ids import request_id_of
from chatbill.entrypoints.web.texts import render
from chatbill.entrypoints.web.wording import parameter_message

_log = logging.getLogger(__name__)


class MalformedRequest(InvalidRequest):
    """The body cannot be read at all: it is not JSON, or not an object."""


class UnsupportedMediaType(ChatbillError):
    """The body comes in a format that is not understood here."""

    code = "unsupported_media_type"


class ClientLeft(MalformedRequest):
    """The client closed the connection before it was answered, so the answer reaches no client."""

    def __init__(self) -> None:
        super().__init__(FieldError("connection", Description("connection_closed")))


def problem_of(error: Exception) -> Problem:
    """Return the problem that describes an error to a client."""
    match error:
        case ValidationException():
            return problem_of(_invalid_request(error))
        case HTTPException():
            return _framework_problem(error)
        case MalformedRequest():
            return _problem(error.code, render(error.description), status=400, members=_members(error))
        case ChatbillError():
            return _problem(error.code, render(error.description), members=_members(error), headers=_headers(error))
        case _:
            return _problem("internal_error", "")


def problem_of_reply(failed: Failed) -> Problem:
    """Return the problem that describes the failure of a reply that was accepted."""
    members: dict[str, Any] = {
        "interaction_id": failed.interaction.id,
        "conversation_id": failed.interaction.conversation_id,
        "credits_charged": failed.interaction.credits_charged,
    }
    if faults := failed.description.params.get("errors"):
        pairs = json.loads(str(faults))
        members["errors"] = [{"field": field, "message": render(Description.loads(rule))} for field, rule in pairs]
    headers = _retry_after(failed.retry_after_s)
    return _problem(failed.code, render(failed.description), members=members, headers=headers)


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    """The format in which a family of clients reads errors.

    `body` makes the JSON for a problem and a request id; `status` maps the problem's HTTP status.
    """

    media_type: str
    body: Callable[[Problem, str], dict[str, Any]]
    status: Callable[[int], int] = int

    def answer(self, request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
        """Answer an error, as Litestar's exception handlers do. Unexpected errors are logged with their traceback."""
        problem = problem_of(error)
        if problem.code in HIDDEN_DETAILS:
            _log.error("request_failed", exc_info=error, extra={"code": problem.code})
        return self.response(problem, request.scope)

    def response(self, problem: Problem, scope: Scope) -> Response[dict[str, Any]]:
        """Return the response for a problem."""
        return Response(
            self.body(problem, request_id_of(scope)),
            status_code=self.status(problem.status),
            headers=dict(problem.headers),
            media_type=self.media_type,
        )


PROBLEM_DETAILS: Final = ErrorFormat("application/problem+json", Problem.body)
"""The format of RFC 9457."""


def _problem(
    code: str,
    detail: str,
    *,
    status: int | None = None,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Problem:
    if code not in KINDS:
        _log.error("error_code_unknown", extra={"code": code})
        code = "internal_error"
    kind = KINDS[code]
    shown = kind.detail if code in HIDDEN_DETAILS or not detail else detail
    return Problem(code=code, detail=shown, status=status or kind.status, members=members or {}, headers=headers or {})


def _framework_problem(error: HTTPException) -> Problem:
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in {"allow", "retry-after"}}
    if code := CODE_OF_STATUS.get(error.status_code):
        return _problem(code, "", headers=headers)
    if error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _problem("invalid_request", "The request could not be understood.", status=400, members={"errors": []})
    return _problem("internal_error", "")


def _members(error: ChatbillError) -> dict[str, Any]:
    match error:
        case InvalidRequest():
            return {"errors": [{"field": fault.field, "message": render(fault.description)} for fault in error.errors]}
        case CapReached():
            return {"required": error.required, "available": error.available, "cap": error.cap}
        case SpendingLimitReached():
            facts = ("required", "available", "limit", "period")
            return {name: getattr(error, name) for name in facts}
        case ScopeMissing():
            return {"scope": error.scope}
        case InsufficientCredits():
            return {"required": error.required, "available": error.available}
        case _:
            return {}


def _headers(error: ChatbillError) -> dict[str, str]:
    challenge = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    return challenge | _retry_after(error.retry_after_s)


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _invalid_request(error: ValidationException) -> InvalidRequest:
    """Convert what the framework found wrong with a request."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return MalformedRequest.of("body", "body_required")
    faults = [
        FieldError(str(fault.get("key", "request")), Description.of("text", text=parameter_message(fault["message"])))
        for fault in found
    ]
    return InvalidRequest(*faults or [FieldError("request", Description("parameter_missing"))])
