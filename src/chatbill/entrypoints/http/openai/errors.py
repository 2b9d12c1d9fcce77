"""Errors in OpenAI's shape: its clients tell them apart by their status, and read `error.message` to people."""

from __future__ import annotations

import re
from typing import Any, Final

from chatbill.entrypoints.web.problem_kinds import Problem
from chatbill.entrypoints.web.problems import ErrorFormat

TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
"""What OpenAI calls errors of a status; below 500 it is otherwise the request's fault, from there on the server's."""

PARAMS: Final = {"model_not_found": "model", "too_large": "messages"}
"""The field that an error of this code is about where it names none."""

CODES: Final = {"unauthenticated": "invalid_api_key"}
"""Where OpenAI has another word for the same."""

_FIELD: Final = re.compile(r"^(message|history)(?=$|\.|: )")
"""What chatbill calls the conversation; also where it stands before what is wrong with it."""
_INDEX: Final = re.compile(r"\.(\d+)")


def openai_status(status: int) -> int:
    """OpenAI knows no 422: whatever is wrong with a request is 400 there."""
    return 400 if status == 422 else status  # noqa: PLR2004


def error_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """The problem as OpenAI would tell it, with what chatbill knows of it beside."""
    status = openai_status(problem.status)
    members = dict(problem.members)
    faults = members.pop("errors", [])
    detail = _FIELD.sub("messages", problem.detail) if problem.code == "too_large" else problem.detail
    error = {
        "message": "; ".join(f"{param_of(fault['field'])}: {fault['message']}" for fault in faults) or detail,
        "type": TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),  # noqa: PLR2004
        "param": param_of(faults[0]["field"]) if faults else PARAMS.get(problem.code),
        "code": CODES.get(problem.code, problem.code),
        "request_id": request_id,
    }
    return {"error": error | members}


def param_of(field: str) -> str:
    """A field as OpenAI writes it: `messages[0].content`."""
    return _INDEX.sub(r"[\1]", _FIELD.sub("messages", field))


OPENAI_ERRORS: Final = ErrorFormat("application/json", error_body, openai_status)
