"""The language of a request: that of the account, or that which the visitor has chosen, or that of the browser."""

from __future__ import annotations

from typing import Any

from babel import Locale
from starlette.requests import Request
from starlette.responses import Response

from chatbill.entrypoints.ui.shared.cookies import root_path_of
from chatbill.entrypoints.web.language import LANGUAGES, Language, language_of

COOKIE = "cb_lang"
YEAR_S = 365 * 24 * 3_600


def language_for(request: Request, chosen: str | None = None) -> Language:
    """Return the language of a request. `chosen` is that of the account."""
    return language_of(chosen or _wanted(request), request.headers.get("accept-language", ""))


def remember_language(request: Request, response: Response) -> None:
    """Let the browser remember the language that the address asks for, as in `?lang=ru`."""
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        attributes: dict[str, Any] = {"path": f"{root_path_of(request.scope)}/", "samesite": "lax"}
        secure = request.scope.get("scheme") == "https"
        response.set_cookie(COOKIE, asked, max_age=YEAR_S, secure=secure, httponly=True, **attributes)


def names_of_languages() -> dict[str, str]:
    """Return the name of each language in itself, by its tag."""
    return {tag: str(Locale.parse(tag, sep="-").get_display_name()).capitalize() for tag in LANGUAGES}


def _wanted(request: Request) -> str | None:
    asked = (request.query_params.get("lang", ""), request.cookies.get(COOKIE, ""))
    return next((tag for tag in asked if tag in LANGUAGES), None)
