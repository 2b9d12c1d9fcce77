"""Checks that ask the running service through its public address."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

from chatbill.entrypoints.cli.doctor.findings import Bad, Surroundings, error, warning
from chatbill.entrypoints.cli.doctor.machine_checks import clock_differs

INVENTED: Final = "203.0.113.7"
"""An address of a documentation, which no client has."""
HEADERS: Final = (
    "Let the proxy send it; see docs/operators.md, Behind a reverse proxy, for nginx and Caddy. Set "
    "CHATBILL_TRUSTED_PROXIES to the address of the proxy."
)


async def reachable(around: Surroundings) -> AsyncIterator[Bad]:
    """The service answers at its public address."""
    if around.url is None:
        yield warning(
            "The public address is not known, so the proxy was not looked at.",
            "Add --url https://…, or set CHATBILL_MAIL_BASE_URL.",
        )
        return
    try:
        await around.seen({})
    except OSError as failure:
        yield error(
            f"{around.url} does not answer as this service: {failure}",
            "Is the service started with the same CHATBILL_SECRET_KEY and data folder, and the proxy set up? "
            "`serve --mode ui` does not answer.",
        )


async def proxy_headers(around: Surroundings) -> AsyncIterator[Bad]:
    """What the proxy says about clients arrives, and clients cannot say it themselves."""
    try:
        seen, lied_to = await around.seen({}), await around.seen({"X-Forwarded-For": INVENTED})
    except OSError:
        return  # `reachable` tells it
    public = urlsplit(around.url or "")
    if seen.ignored:
        yield error(
            f"{', '.join(seen.ignored)} arrive from {seen.client}, which is not trusted.",
            f"Set CHATBILL_TRUSTED_PROXIES={seen.client} if that is your proxy.",
        )
    elif seen.scheme != public.scheme:
        yield error(f"The service believes that it is asked over {seen.scheme}: X-Forwarded-Proto is missing.", HEADERS)
    if urlsplit(f"//{seen.host}").hostname != public.hostname:
        yield error(f"The service believes that its name is {seen.host}: Host is not passed on.", HEADERS)
    # From the machine of the proxy it is not known: the address of that one may name another client.
    if lied_to.client == INVENTED and not _is_trusted(seen.client, around.settings.trusted_proxies):
        yield error(
            "Any client can choose the address by which it is limited: the proxy passes on X-Forwarded-For as it came.",
            "Let the proxy append the address of its peer, as nginx does with $proxy_add_x_forwarded_for.",
        )


def _is_trusted(client: str, proxies: tuple[str, ...]) -> bool:
    try:
        return any(ipaddress.ip_address(client) in ipaddress.ip_network(proxy) for proxy in proxies)
    except ValueError:
        return True  # a socket of this machine


async def public_clock(around: Surroundings) -> AsyncIterator[Bad]:
    """The clock of this machine agrees with the one at the public address."""
    try:
        seen = await around.seen({})
    except OSError:
        return
    if seen.clock_ahead_s is not None:
        for bad in clock_differs(seen.clock_ahead_s, "the public address", blur_s=2.0):
            yield bad
