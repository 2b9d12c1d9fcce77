"""The sign-in page, the frame of the chat page, and the files that both load."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from html import escape
from importlib import resources
from string import Template

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from chatbill.application.accounts.register import Register
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.markdown.highlighting import stylesheet
from chatbill.entrypoints.web.texts import credits_text

TYPES = {
    "account.js": "text/javascript",
    "base.css": "text/css",
    "chat.css": "text/css",
    "chat.js": "text/javascript",
    "code.css": "text/css",
    "forms.css": "text/css",
    "forms.js": "text/javascript",
    "keys.css": "text/css",
    "keys.js": "text/javascript",
    "reset.js": "text/javascript",
    "verify.js": "text/javascript",
    "replies.css": "text/css",
    "replies.js": "text/javascript",
    "sign_in.css": "text/css",
    "sign_in.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
CHAT_FILES = (
    "base.css",
    "forms.css",
    "chat.css",
    "replies.css",
    "code.css",
    "keys.css",
    "forms.js",
    "chat.js",
    "replies.js",
    "keys.js",
    "account.js",
)
YEAR_S = 365 * 24 * 3_600
# Gradio's page describes Gradio to link previews, and names a manifest at the root of the host.
_GRADIO_TAGS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>', re.DOTALL)
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_NO_STORE = {"Cache-Control": "no-store"}


@cache
def asset(name: str) -> str:
    """Return the text of a file of this package, or the colours of code."""
    if name == "code.css":
        return stylesheet()
    return (resources.files(__package__) / "assets" / name).read_text("utf-8")


@cache
def address_of(name: str) -> str:
    """Return the address of a file, relative to the page, because a proxy may serve both below a prefix.

    A changed file has another address, so browsers may cache it for ever.
    """
    return f"../web/assets/{name}?v={hashlib.sha256(asset(name).encode()).hexdigest()[:12]}"


def mount_assets(app: FastAPI) -> None:
    """Add the route that serves the files of both pages."""

    async def file(name: str) -> Response:
        if name not in TYPES:
            return Response("There is no such file.", 404)
        headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
        return Response(asset(name), media_type=TYPES[name], headers=headers)

    app.add_api_route("/web/assets/{name}", file, methods=["GET"])


def sign_in_page(register: Register, config: WebConfig) -> Response:
    """Return the page for sign-in and registration."""
    gift = f"New accounts start with {credits_text(register.welcome_credits)}." if register.welcome_credits else ""
    page = Template(asset("sign_in.html")).substitute(
        title=escape(config.title),
        welcome=gift,
        closed="" if register.is_open else "hidden",
        head=_head("base.css", "forms.css", "sign_in.css", "forms.js", "sign_in.js"),
    )
    return HTMLResponse(page, headers=_NO_STORE)


def link_page(name: str, config: WebConfig) -> Response:
    """Return the page to which a link leads. It runs the scripts of this service and nothing else."""
    head = _head("base.css", "forms.css", "sign_in.css", "forms.js", f"{name}.js")
    page = Template(asset(f"{name}.html")).substitute(title=escape(config.title), head=head)
    return HTMLResponse(page, headers=_NO_STORE | {"Content-Security-Policy": STRICT_POLICY})


def chat_page(gradio_page: bytes, config: WebConfig) -> Response:
    """Return Gradio's page with the name, style and scripts of chatbill and the panel of API keys. It is not cached."""
    page = _GRADIO_TAGS.sub("", gradio_page.decode())
    head = f"<title>{escape(config.title)}</title>{_head(*CHAT_FILES)}"
    page = page.replace("</head>", f"{head}</head>", 1).replace(
        "</body>", f"{asset('keys.html')}{asset('account.html')}</body>", 1
    )
    return HTMLResponse(page, headers=_NO_STORE)


def _head(*files: str) -> str:
    icon = f'<link rel="icon" type="image/svg+xml" href="{address_of("icon.svg")}">'
    return icon + "".join(map(_loaded, files))


def _loaded(name: str) -> str:
    if TYPES[name] == "text/css":
        return f'<link rel="stylesheet" href="{address_of(name)}">'
    return f'<script src="{address_of(name)}" defer></script>'
