"""Routes for visitors who are not signed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.ui.shared.answers import error_response
from chatbill.entrypoints.ui.shared.speech import language_for
from chatbill.entrypoints.web.language import speaking


def add_public(app: FastAPI, method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> None:
    """Add a route whose errors are answered in the format of the forms, in the language of the visitor."""

    async def answer(request: Request) -> Response:
        with speaking(language_for(request)):
            try:
                return await handler(request)
            except ChatbillError as error:
                return error_response(error)

    app.add_api_route(path, answer, methods=[method])
