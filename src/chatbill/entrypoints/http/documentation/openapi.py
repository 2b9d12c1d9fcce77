"""The OpenAPI document of the whole API."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityRequirement, SecurityScheme, Server, Tag

import chatbill
from chatbill.entrypoints.http.documentation.page import PageRenderPlugin

PATH: Final = "/docs"
BEARER: Final = "bearer"
NEEDS_BEARER: Final[SecurityRequirement] = {BEARER: []}

# The page has no script and loads nothing; its style is part of it.
PAGE_HEADERS: Final = (
    ResponseHeader(
        name="Content-Security-Policy", value="default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
)

DESCRIPTION = """\
Chat with language models, paid by prepaid credits. Register, sign in, and send the access token with every request.

JSON in and out; times are RFC 3339 in UTC; credits are whole numbers. Fields that are not known are ignored.
Every error is `application/problem+json` (RFC 9457) with a stable `code`; every response carries
`X-Request-Id`. A request that is not JSON at all is 400 `invalid_request`; one that breaks a rule is
422 `invalid_request` and names each field. Lists come in pages: send `next_cursor` back as `cursor` until it is
null."""

TAGS = (
    Tag(name="Accounts", description="Register, sign in, and read your account."),
    Tag(name="API keys", description="Keys by which programs authenticate."),
    Tag(name="Chat", description="Models, messages and their replies."),
    Tag(name="Conversations", description="Conversations, and the history of all messages."),
    Tag(name="Billing", description="Balance, packages, purchases and transactions."),
    Tag(name="OpenAI", description="For clients of OpenAI's API; errors have its format too."),
    Tag(name="Administration", description="For administrators only."),
    Tag(name="Reports", description="Use and money over a period, for members of the staff."),
    Tag(name="Monitoring", description="Logs, figures and alerts, for members of the staff."),
    Tag(name="Health", description="For probes and load balancers."),
)


def openapi_config(root_path: str = "") -> OpenAPIConfig:
    """Return the configuration of the page at `/docs` and of `/docs/openapi.json`, both below `root_path`."""
    scheme = SecurityScheme(
        type="http",
        scheme="bearer",
        description="The access token of `POST /auth/login`, valid for an hour, or an API key.",
    )
    return OpenAPIConfig(
        title="chatbill",
        version=chatbill.__version__,
        description=DESCRIPTION,
        openapi_router=Router(
            path=PATH,
            route_handlers=[],
            response_headers=PAGE_HEADERS,
            after_request=_raise_not_found,
            include_in_schema=False,
        ),
        servers=[Server(url=root_path or "/")],
        tags=list(TAGS),
        use_handler_docstrings=True,
        components=Components(security_schemes={BEARER: scheme}),
        render_plugins=[PageRenderPlugin(), JsonRenderPlugin(path="/openapi.json")],
    )


async def _raise_not_found(response: Response[Any]) -> Response[Any]:
    """Raise `NotFoundException` in place of the framework's own page for unknown addresses below `/docs`."""
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response
