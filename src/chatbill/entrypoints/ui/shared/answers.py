"""Errors in the format of the forms."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from chatbill.domain.accounts.passwords import PasswordRequired
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    ChatbillError,
    Conflict,
    ContextLengthExceeded,
    Forbidden,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from chatbill.entrypoints.web.exports import FileStream
from chatbill.entrypoints.web.language import gettext as _
from chatbill.entrypoints.web.texts import render

STATUS: Mapping[type[ChatbillError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    ContextLengthExceeded: HTTPStatus.UNPROCESSABLE_ENTITY,
    InsufficientCredits: HTTPStatus.PAYMENT_REQUIRED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
}


def error_response(error: ChatbillError) -> Response:
    """Return an error in the format of the forms, with a message for the form and one for each field."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_GATEWAY)
    errors = _errors_of(error)
    body = {
        "code": error.code,
        "detail": _("Look at the marked fields.") if errors else render(error.description),
        "errors": errors,
    }
    headers = None if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(body, status, headers=headers)


def _errors_of(error: ChatbillError) -> list[dict[str, str]]:
    if isinstance(error, PasswordRequired):
        words = _("Enter your password, because you did not sign in just now.")
        return [{"field": "password", "message": words}]
    faults = error.errors if isinstance(error, InvalidRequest) else ()
    return [{"field": fault.field, "message": _sentence(fault.description)} for fault in faults]


def _sentence(rule: Description) -> str:
    return _("This {message}.").format(message=render(rule))


class FileAnswer(Response):
    """An export of `exports`, as the page's framework expects an answer."""

    def __init__(self, file: FileStream) -> None:
        super().__init__()
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file as its parts come."""
        await self._file(cast("Any", scope), cast("Any", receive), cast("Any", send))
