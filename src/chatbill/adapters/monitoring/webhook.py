"""Sends alerts to a webhook, with a signature and a timestamp."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from chatbill.application.ports.notifier import NotDelivered
from chatbill.domain.monitoring.alerts import Alert

TIMEOUT_S: Final = 10.0
SIGNATURE: Final = "X-Chatbill-Signature"
TIMESTAMP: Final = "X-Chatbill-Timestamp"
DELIVERY: Final = "X-Chatbill-Delivery"


class Webhook:
    """Posts JSON to `url`. Private addresses are refused unless `allow_private`; redirects are never followed.

    The signature is `v1=` and the HMAC-SHA256, in hexadecimal digits and by `secret`, of the timestamp, a dot and the
    body. A receiver should refuse old timestamps, and a delivery that it has had.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        allow_private: bool = False,
        timeout_s: float = TIMEOUT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = URL(url)
        self._secret = secret.encode()
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._now = now

    async def send(self, delivery_id: str, change: str, alert: Alert) -> None:
        """Post the alert within `timeout_s` seconds. Any status but 2xx is `NotDelivered`."""
        body = json.dumps(_told(change, alert), separators=(",", ":")).encode()
        timestamp = str(int(self._now()))
        signature = hmac.new(self._secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "chatbill",
            TIMESTAMP: timestamp,
            SIGNATURE: f"v1={signature}",
            DELIVERY: delivery_id,
        }
        try:
            status = await self._post(body, headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Its text could have the address, which may hold a secret of the receiver.
            raise NotDelivered(f"the webhook was not reached: {type(error).__name__}") from None
        if not 200 <= status < 300:  # noqa: PLR2004 - the statuses of success
            raise NotDelivered(f"the webhook answered {status}")

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        if not self._allow_private:
            _require_public(self._url.host or "")
        resolver = ThreadedResolver() if self._allow_private else _PublicResolver()
        connector = aiohttp.TCPConnector(resolver=resolver, limit=1, force_close=True)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        jar = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session,
            session.post(self._url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            # The body is not read: it could be endless, and nothing in it matters.
            return response.status


class PrivateAddress(OSError):
    """Raised for a receiver in a private network."""


def _require_public(host: str) -> None:
    """Raise `PrivateAddress` for an address that is written out, which no resolver sees."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not _is_public(address):
        raise PrivateAddress


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_global and not (mapped or address).is_multicast


class _PublicResolver(AbstractResolver):
    """Resolves names, and refuses those with a private address. What is checked here is what is connected to."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """Return the addresses of a name, all of them public."""
        found = await self._resolver.resolve(host, port, family)
        if not all(_is_public(ipaddress.ip_address(each["host"].partition("%")[0])) for each in found):
            raise PrivateAddress
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def _told(change: str, alert: Alert) -> dict[str, Any]:
    moments = ("opened_at", "seen_at", "closed_at", "acknowledged_at")
    return {
        "change": change,
        "id": alert.id,
        "kind": alert.kind.value,
        "subject": alert.subject,
        "severity": alert.severity.value,
        "evidence": dict(alert.evidence),
        "times": alert.times,
        **{name: (moment := getattr(alert, name)) and moment.isoformat() for name in moments},
    }
