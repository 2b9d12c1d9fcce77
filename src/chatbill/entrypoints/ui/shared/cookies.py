"""The cookie of the page: its name, which says how well browsers protect it, and its value."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from chatbill.application.accounts.sign_in import SignedIn

NAME = "chatbill_session"
HOST, SECURE = "__Host-", "__Secure-"
"""Browsers accept a cookie with such a name over HTTPS only. With `__Host-` no other host can set it, and its path is
`/`. A service below a path has `__Secure-` and its path, so that other services of the host do not get the cookie."""


def cookie_name(scope: MutableMapping[str, Any]) -> str:
    """Return the name of the cookie for requests like this one; no other name is read."""
    if scope.get("scheme") != "https":
        return NAME
    return f"{SECURE if root_path_of(scope) else HOST}{NAME}"


def token_of(scope: MutableMapping[str, Any]) -> str:
    """Return the access token of the cookie, or "" if there is none."""
    return HTTPConnection(scope).cookies.get(cookie_name(scope), "")


def set_cookie(request: Request, response: Response, signed_in: SignedIn) -> None:
    """Let the browser keep the access token as long as it is valid."""
    response.set_cookie(
        cookie_name(request.scope), signed_in.access_token, max_age=signed_in.expires_in_s, **_attributes(request)
    )


def delete_cookie(request: Request, response: Response) -> None:
    """Let the browser delete the access token."""
    response.delete_cookie(cookie_name(request.scope), **_attributes(request))


def _attributes(request: Request) -> dict[str, Any]:
    path, secure = f"{root_path_of(request.scope)}/", request.scope.get("scheme") == "https"
    return {"path": path, "httponly": True, "samesite": "strict", "secure": secure}


def root_path_of(scope: MutableMapping[str, Any]) -> str:
    """Return the path below which the service is reached; inside Gradio the root path has that of the page too."""
    return str(scope.get("app_root_path", scope.get("root_path", "")))
