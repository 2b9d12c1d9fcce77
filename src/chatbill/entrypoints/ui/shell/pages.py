"""The sign-in page, the frame of the page for signed-in people, and the files that they load."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from importlib import resources
from urllib.parse import quote

from fastapi import FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from chatbill.application.accounts.register import Register
from chatbill.entrypoints.ui.markdown.highlighting import stylesheet
from chatbill.entrypoints.ui.shared.speech import language_for, names_of_languages, remember_language
from chatbill.entrypoints.ui.shared.templates import html
from chatbill.entrypoints.ui.shared.visits import NO_STORE, Visit
from chatbill.entrypoints.ui.shell.config import WebConfig
from chatbill.entrypoints.web.language import speaking
from chatbill.entrypoints.web.proxies import path_below_root

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SIGN_IN_FILES = ("theme.js", "base.css", "forms.css", "sign_in.css", "ask.js", "sign_in.js")
# Sent as one file of each kind, because each request costs a round trip.
ALL = (
    "base.css",
    "forms.css",
    "frame.css",
    "parts.css",
    "credits.css",
    "chat.css",
    "code.css",
    "administration.css",
    "account.css",
    "ask.js",
    "frame.js",
    "connection.js",
    "live.js",
    "chat.js",
    "replies.js",
    "temporary.js",
    "composer.js",
    "queue.js",
    "sending.js",
    "administration.js",
    "parts.js",
    "credits.js",
    "account.js",
)
# It sets the colours before anything is painted, so it does not wait for the page.
FIRST = frozenset({"theme.js"})
YEAR_S = 365 * 24 * 3_600
# Gradio's page describes Gradio to link previews, and names a manifest at the root of the host.
_GRADIO_TAGS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>', re.DOTALL)
# What a page in a frame of another site needs, which this one never is.
_RESIZER = re.compile(r"<script>(?:(?!</script>).)*iframeResizer\.contentWindow.*?</script>", re.DOTALL)
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'self'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@cache
def asset(name: str) -> bytes | None:
    """Return a file of this package, the colours of code, or all files of a kind; None if there is no such file."""
    if name == "code.css":
        return stylesheet().encode()
    if name in {"all.js", "all.css"}:
        return b"\n".join(asset(each) or b"" for each in ALL if each.endswith(name.removeprefix("all")))
    folder = resources.files("chatbill.entrypoints.ui") / "assets"
    found = next((each for each in folder.iterdir() if each.name == name), None)
    return found.read_bytes() if found else None


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(asset(name) or b"", 9, mtime=0)


@cache
def address_of(name: str) -> str:
    """Return the address of a file, relative to the base of the page, because a proxy may serve it below a prefix.

    A changed file has another address, so browsers may cache it for ever.
    """
    return f"../web/assets/{name}?v={_version(name)}"


@cache
def _version(name: str) -> str:
    return hashlib.sha256(asset(name) or b"").hexdigest()[:12]


def mount_assets(app: FastAPI) -> None:
    """Add the route that serves the files of both pages, packed for browsers that can unpack them."""

    async def file(name: str, request: Request) -> Response:
        body = asset(name)
        if body is None:
            return Response("There is no such file.", 404)
        # During an upgrade, a page of the new version may ask a process of the old one.
        is_this = request.query_params.get("v") in {None, _version(name)}
        kept = f"public, max-age={YEAR_S}, immutable" if is_this else "no-store"
        headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["Content-Encoding"] = _packed(name), "gzip"
        return Response(body, media_type=TYPES[f".{name.rpartition('.')[2]}"], headers=headers)

    app.add_api_route("/web/assets/{name}", file, methods=["GET"])


def sign_in_page(request: Request, register: Register, config: WebConfig) -> Response:
    """Return the page for sign-in and registration, in the language of the browser."""
    # Browsers send no strict cookie after a link of another site. The page asks again, which is a request of its own.
    is_linked = request.headers.get("sec-fetch-site") == "cross-site"
    return plain_page("sign_in.html", request, config, SIGN_IN_FILES, register=register, is_linked=is_linked)


def link_page(name: str, request: Request, config: WebConfig) -> Response:
    """Return the page to which a link leads. It runs the scripts of this service and nothing else."""
    files = ("theme.js", "base.css", "forms.css", "sign_in.css", "ask.js", "link.js")
    return plain_page(f"{name}.html", request, config, files)


def plain_page(
    template: str, request: Request, config: WebConfig, files: tuple[str, ...], **values: object
) -> HTMLResponse:
    """Return a page for people who are not signed in. It runs the scripts of this service and nothing else."""
    language = language_for(request)
    values |= {"lang": language.tag, "languages": names_of_languages(), "here": _here(request)}
    with speaking(language):
        page = html(template, title=config.title, head=_head(request.scope, *files), **values)
    response = HTMLResponse(page, headers=NO_STORE | {"Content-Security-Policy": STRICT_POLICY})
    remember_language(request, response)
    return response


def _here(request: Request) -> str:
    """Return the path of a page, relative to the base of the page."""
    return f"..{quote(path_below_root(request.scope))}"


def frame_page(gradio_page: str, view: str, visit: Visit, config: WebConfig, policy: str) -> Response:
    """Return Gradio's page with the frame of chatbill: its name, style, scripts, navigation and first view.

    It is not cached. Without a `view`, the script asks for it.

    The frame is shown at once, and stays beside what Gradio makes. Its scripts come before Gradio's,
    because deferred scripts run in the order of the page; its styles come after, because the last of equal ones holds.
    """
    page = _RESIZER.sub("", _GRADIO_TAGS.sub("", gradio_page))
    with speaking(visit.language):
        values = {"title": config.title, "lang": visit.language.tag, "connection": address_of("connection.js")}
        frame = visit.text("frame.html", first=Markup(view), **values)  # noqa: S704 - HTML of a view
    first = _base(visit.request.scope) + _files("theme.js", "all.js")
    last = f"<title>{Markup.escape(config.title)}</title>{_loaded('all.css')}"
    page = page.replace('lang="en"', f'lang="{visit.language.tag}"', 1)
    page = re.sub(r"<base\b[^>]*>", "", page, count=1).replace("<head>", f"<head>{first}", 1)
    page = page.replace("</head>", f"{last}</head>", 1).replace("</body>", f"{frame}</body>", 1)
    return HTMLResponse(page, headers=NO_STORE | {"Content-Security-Policy": policy})


def _base(scope: Scope) -> str:
    """Return the element that makes the addresses of a page relative to /ui/ in every view."""
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return f'<base href="{Markup.escape(root)}/ui/">'


def _head(scope: Scope, *files: str) -> Markup:
    return Markup(_base(scope) + _files(*files))  # noqa: S704 - addresses of our own files


def _files(*files: str) -> str:
    icon = f'<link rel="icon" type="image/svg+xml" href="{address_of("icon.svg")}">'
    return icon + "".join(map(_loaded, files))


def _loaded(name: str) -> str:
    if name.endswith(".css"):
        return f'<link rel="stylesheet" href="{address_of(name)}">'
    when = "" if name in FIRST else ' defer fetchpriority="high"'
    return f'<script src="{address_of(name)}"{when}></script>'
