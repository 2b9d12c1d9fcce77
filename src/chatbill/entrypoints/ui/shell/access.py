"""Protects the web page: checks sign-in, origin and size of requests, and sets the content security policy."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbill.application.assembly import UseCases
from chatbill.domain.shared.errors import RateLimited, Unauthenticated
from chatbill.entrypoints.ui.shared.answers import error_response
from chatbill.entrypoints.ui.shared.origin import OTHER_SITE, fault_of_origin
from chatbill.entrypoints.ui.shared.visits import VIEWS, Visit, visit_of
from chatbill.entrypoints.ui.shell.config import WebConfig
from chatbill.entrypoints.ui.shell.pages import STRICT_POLICY, frame_page, sign_in_page
from chatbill.entrypoints.web.password_links import PATH, VERIFY_PATH
from chatbill.entrypoints.web.proxies import path_below_root

MAX_BODY_BYTES = 1_000_000
MAX_LENGTH_DIGITS = 10
OWN_FILES = "/web/assets/"
PUBLIC_FOLDERS = ("/ui/assets/", "/ui/static/")
PUBLIC_FILES = frozenset({"/ui/theme.css", "/ui/gradio_api/theme.css"})
LINKED_FROM_LETTERS = frozenset({PATH, VERIFY_PATH})
SIGNED_IN_ONLY = frozenset({"/ui/gradio_api/startup-events", "/ui/gradio_api/app_id"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Gradio starts from inline scripts and compiles templates; nothing comes from, or goes to, another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_log = logging.getLogger(__name__)


class AccessMiddleware:
    """ASGI middleware for /ui and /web; other requests pass unchanged.

    `addresses` are those of the views, such as `c/{conversation_id}`. Each shows the same page, whose script asks for
    the view. Only those addresses of Gradio are reachable that the page needs. Uploads, events and its API are not.
    """

    def __init__(self, app: ASGIApp, use_cases: UseCases, config: WebConfig, addresses: list[str]) -> None:
        self._app = app
        self._use_cases = use_cases
        self._config = config
        views = "|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(address)) for address in addresses)
        self._views = re.compile(rf"/ui/(?:{views})?")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if not path.startswith(("/ui/", "/web/")):
            await self._app(scope, receive, send)
            return
        send = _with_headers(send, is_file=path.startswith(OWN_FILES) or _is_public(path))
        answer = _rejection(scope) or await self._answer(scope, receive)
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the page, the sign-in page or an error; None if a route answers the request."""
        path = path_below_root(scope)
        if path.startswith("/web/") or _is_public(path):
            return None
        if self._views.fullmatch(path) and scope["method"] in SAFE_METHODS:
            return await self._page(scope, receive)
        if path not in SIGNED_IN_ONLY:
            return JSONResponse({"code": "not_found", "detail": "There is nothing here."}, 404)
        if not await self._visit(Request(scope, receive)):
            return JSONResponse({"code": "unauthenticated", "detail": "Your session has ended. Sign in again."}, 401)
        return None

    async def _page(self, scope: Scope, receive: Receive) -> Response:
        request = Request(scope, receive)
        visit = await self._visit(request)
        if visit is None:
            return sign_in_page(request, self._use_cases.accounts.register, self._config)
        try:
            await self._use_cases.accounts.limit_page_events(visit.principal, visit.address)
        except RateLimited as error:
            return error_response(error)
        # The query is for the view. Gradio would read a state of its own from it.
        page = await self._body_of({**scope, "query_string": b""}, "/ui/", receive)
        path = f"{VIEWS}/{path_below_root(scope).removeprefix('/ui/')}"
        # A page that another site has opened gets its view by a request of its own, as its size says what was found.
        is_own = _rejection_of_reading(path, Headers(scope=scope)) is None
        view = await self._view_of(scope, path, receive) if is_own else ""
        return frame_page(page, view, visit, self._config, POLICY)

    async def _view_of(self, scope: Scope, path: str, receive: Receive) -> str:
        """Return the view that comes with the page; "" if it fails: the script asks again, and shows the error."""
        try:
            return await self._body_of(scope, path, receive)
        except Exception:  # noqa: BLE001 - logged; one view that fails may not take the whole page away
            _log.exception("first_view_failed")
            return ""

    async def _body_of(self, scope: Scope, path: str, receive: Receive) -> str:
        """Return the uncompressed body at another path of this application; "" if that is an error."""
        path = scope.get("root_path", "") + path
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        asked = {**scope, "method": "GET", "headers": headers, "path": path, "raw_path": quote(path).encode()}
        body: list[bytes] = []
        statuses: list[int] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                body.append(message.get("body", b""))

        await self._app(asked, receive, collect)
        return b"".join(body).decode() if statuses == [HTTPStatus.OK] else ""

    async def _visit(self, request: Request) -> Visit | None:
        """Return the visit of the person of the cookie; None without a session."""
        try:
            return await visit_of(self._use_cases, request)
        except Unauthenticated:
            return None


def _is_public(path: str) -> bool:
    """Return True for Gradio's own scripts and styles. Its routes see the path as it is, so no part of it leads up."""
    return path in PUBLIC_FILES or (path.startswith(PUBLIC_FOLDERS) and ".." not in re.split(r"[/\\]", path))


def _rejection(scope: Scope) -> Response | None:
    """Return an error for a request that comes from another site, or whose body is too large."""
    headers = Headers(scope=scope)
    if scope["method"] in SAFE_METHODS:
        return _rejection_of_reading(path_below_root(scope), headers)
    if fault := fault_of_origin(scope):
        if fault != OTHER_SITE:
            _log.warning("form_refused", extra={"reason": fault})
        return JSONResponse({"code": "forbidden", "detail": fault}, 403)
    length = headers.get("content-length", "0" if scope["method"] == "DELETE" else "")
    if not length.isdecimal() or "transfer-encoding" in headers:
        return JSONResponse({"code": "invalid_request", "detail": "Say how long the body is."}, 411)
    if len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
        return JSONResponse({"code": "too_large", "detail": "This is too large."}, 413)
    return None


def _rejection_of_reading(path: str, headers: Headers) -> Response | None:
    """Return an error for a part of the page that another site asks for.

    Hosts of the same domain get the cookie sent, and could learn from sizes and times what a search has found.
    """
    if not path.startswith("/web/") or path.startswith(OWN_FILES) or path in LINKED_FROM_LETTERS:
        return None
    if headers.get("sec-fetch-site", "none") in {"same-origin", "none"}:
        return None
    return JSONResponse({"code": "forbidden", "detail": OTHER_SITE}, 403)


def _with_headers(send: Send, *, is_file: bool) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_strict = headers.get("content-security-policy") == STRICT_POLICY
            headers.update(HEADERS | ({"Content-Security-Policy": STRICT_POLICY} if is_strict else {}))
            if not is_file:
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers
