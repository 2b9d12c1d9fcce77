"""Tells whether a page of this site sent a request, and explains what a reverse proxy leaves out."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from chatbill.entrypoints.web.proxies import IGNORED

OTHER_SITE = "This request came from another site."
PORTS = {"http": 80, "https": 443}
MAX_SHOWN = 100


def fault_of_origin(scope: Scope) -> str:
    """Return why a request is refused that a page of this site did not send; "" if one did.

    Browsers send Sec-Fetch-Site over HTTPS and to localhost, and Origin with everything that is not a GET.
    """
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if site not in {"", "same-origin"}:
        return OTHER_SITE
    try:
        page, here = urlsplit(origin), urlsplit(f"{scope['scheme']}://{headers.get('host', '')}")
        if not page.hostname:
            return "" if site else OTHER_SITE
        if _place(page) == _place(here):
            return ""
    except ValueError:
        return OTHER_SITE
    return _explained(scope, page, here)


def _place(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or PORTS.get(address.scheme)


def _explained(scope: Scope, page: SplitResult, here: SplitResult) -> str:
    shown = f"{page.scheme}://{page.netloc}"[:MAX_SHOWN]
    # Where the scheme alone differs, the ports differ too if they are the usual ones.
    if page.netloc == here.netloc:
        missing, mend = "X-Forwarded-Proto", "nginx: proxy_set_header X-Forwarded-Proto $scheme;"
        arrived = f"this request arrived over {here.scheme.upper()}"
    else:
        missing, mend = "Host", "nginx: proxy_set_header Host $http_host;"
        arrived = f"this request names the host {here.netloc[:MAX_SHOWN] or '(none)'}"
    forwarded = "X-Forwarded-Host" if missing == "Host" else missing
    peer = scope["client"][0] if scope.get("client") else "its address"
    if forwarded.lower() in scope.get(IGNORED, ()):
        advice = f"A proxy at {peer} sent {forwarded}, but is not trusted: add {peer} to CHATBILL_TRUSTED_PROXIES."
    elif missing == "Host":
        advice = (
            f"A reverse proxy must pass on the header Host ({mend}), or send X-Forwarded-Host and be named in "
            f"CHATBILL_TRUSTED_PROXIES."
        )
    else:
        advice = f"A reverse proxy must send the header {missing} ({mend}) and be named in CHATBILL_TRUSTED_PROXIES."
    return f"This page is at {shown}, but {arrived}. {advice}"
