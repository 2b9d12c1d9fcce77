"""Finds the address of the client, behind trusted and untrusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from litestar.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = "unknown"
IPV6_CLIENT_BITS = 64
"""An IPv6 client usually has a whole network of this size, so limits count networks, not addresses."""


@dataclass(frozen=True, slots=True)
class ClientAddresses:
    """Finds the address of the client. It believes `X-Forwarded-For` only as far as trusted proxies wrote it."""

    trusted: tuple[Network, ...] = ()

    @classmethod
    def behind(cls, proxies: Iterable[str]) -> ClientAddresses:
        """Return a finder that trusts these addresses or networks. Raises `ValueError` for an invalid one."""
        return cls(tuple(ipaddress.ip_network(proxy, strict=False) for proxy in proxies))

    def of(self, scope: Scope) -> str:
        """Return the address or network by which limits count the client; "unknown" for a Unix socket."""
        client, _ = self.client_of(scope)
        return UNKNOWN if client is None else _counted(client)

    def client_of(self, scope: Scope) -> tuple[Address | None, int]:
        """Return the address of the client, None for a Unix socket, and the number of trusted proxies before it."""
        peer = scope.get("client")
        nearest = _peer(peer[0]) if peer else None
        # Each proxy appends the address of its peer, so the list is read from its end while the proxies are trusted.
        hops, proxies = _forwarded_for(scope), 0
        while nearest is not None and self._trusts(nearest):
            proxies += 1
            further = _address(hops.pop()) if hops else None
            if further is None:
                break
            nearest = further
        return nearest, proxies

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.trusted if network.version == address.version)


def _forwarded_for(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return ",".join(values).split(",") if values else []


def _address(text: str) -> Address | None:
    """Parse an address that may have a port, as in `192.0.2.1:443` or `[2001:db8::1]:443`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


_peer = lru_cache(maxsize=1_024)(_address)


@lru_cache(maxsize=1_024)
def _counted(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), IPV6_CLIENT_BITS), strict=False))
