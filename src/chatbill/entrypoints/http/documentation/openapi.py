"""The description of the API as a whole."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityRequirement, SecurityScheme, Tag

import chatbill
from chatbill.entrypoints.http.documentation.page import PageRenderPlugin

PATH: Final = "/docs"
BEARER: Final = "bearer"
NEEDS_BEARER: Final[SecurityRequirement] = {BEARER: []}

# The page has no script and takes nothing from elsewhere; its style stands in it.
PAGE_HEADERS: Final = (
    ResponseHeader(
        name="Content-Security-Policy", value="default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
)

DESCRIPTION = """\
Chat with language models, paid by prepaid credits. Register, sign in, and send the access token with every request.

JSON in and out; times are RFC 3339 in UTC; credits are whole numbers. Fields that are not known are ignored.
Whatever goes wrong is `application/problem+json` (RFC 9457) with a stable `code`; every response carries
`X-Request-Id`. A request that is not JSON at all is 400 `invalid_request`; one that breaks a rule is
422 `invalid_request` and names each field. Lists come in pages: send `next_cursor` back as `cursor` until it is
null."""

TAGS = (
    Tag(name="Accounts", description="Who you are."),
    Tag(name="API keys", description="What programs sign in with."),
    Tag(name="Chat", description="Models, messages and their replies."),
    Tag(name="Conversations", description="What was said, and the history of all requests."),
    Tag(name="Billing", description="Credits: what you own, what they cost, where they went."),
    Tag(name="OpenAI", description="What clients of OpenAI's API speak; errors have its shape too."),
    Tag(name="Administration", description="What only administrators may do."),
    Tag(name="Health", description="For probes and balancers."),
)


def openapi_config() -> OpenAPIConfig:
    """The page at `/docs`, and the description it shows at `/docs/openapi.json`."""
    scheme = SecurityScheme(
        type="http",
        scheme="bearer",
        description="The access token of `POST /auth/login`, good for an hour, or an API key.",
    )
    return OpenAPIConfig(
        title="chatbill",
        version=chatbill.__version__,
        description=DESCRIPTION,
        openapi_router=Router(
            path=PATH,
            route_handlers=[],
            response_headers=PAGE_HEADERS,
            after_request=_no_page_of_its_own,
            include_in_schema=False,
        ),
        tags=list(TAGS),
        use_handler_docstrings=True,
        components=Components(security_schemes={BEARER: scheme}),
        render_plugins=[PageRenderPlugin(), JsonRenderPlugin(path="/openapi.json")],
    )


async def _no_page_of_its_own(response: Response[Any]) -> Response[Any]:
    """The framework answers what is unknown under this path with a page; here that is a problem as anywhere else."""
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response
