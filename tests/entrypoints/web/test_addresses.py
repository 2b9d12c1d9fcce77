"""The address of a client behind proxies."""

from __future__ import annotations

from typing import Any

import pytest

from chatbill.entrypoints.web.addresses import ClientAddresses


def _scope(client: str | None, *forwarded: str) -> Any:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": (client, 1) if client else None, "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8:1:2:3::9]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("2001:db8:ffff::1", ["203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], "unknown"),
        ("testclient", [], "unknown"),
    ],
)
def test_only_addresses_from_trusted_proxies_are_believed(
    client: str | None, forwarded: list[str], expected: str
) -> None:
    addresses = ClientAddresses.behind(["10.0.0.0/8", "2001:db8:ffff::/48"])
    assert addresses.of(_scope(client, *forwarded)) == expected


def test_an_invalid_proxy_address_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"proxy\.example"):
        ClientAddresses.behind(["proxy.example"])
