"""Errors in the format of OpenAI. Clients distinguish them by status, and show `error.message` to users."""

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
"""OpenAI's types of errors by status. Others are `invalid_request_error`, and `server_error` from 500 on."""

PARAMS: Final = {"model_not_found": "model", "too_large": "messages", "context_length_exceeded": "messages"}
"""The field to report for a code whose error names none."""

CODES: Final = {"unauthenticated": "invalid_api_key"}
"""OpenAI's names for codes of chatbill."""

_FIELD: Final = re.compile(r"^(message|history)(?=$|\.|: )")
"""chatbill's names for the field `messages`: alone, or before `.` or `: `."""
_INDEX: Final = re.compile(r"\.(\d+)")


def openai_status(status: int) -> int:
    """Return 400 for 422, which OpenAI does not use."""
    return 400 if status == 422 else status  # noqa: PLR2004


def error_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the problem in the format of OpenAI, with chatbill's own members added."""
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
    """Return the name of a field as OpenAI writes it, such as `messages[0].content`."""
    return _INDEX.sub(r"[\1]", _FIELD.sub("messages", field))


OPENAI_ERRORS: Final = ErrorFormat("application/json", error_body, openai_status)
