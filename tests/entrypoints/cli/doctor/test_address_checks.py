"""What a proxy does wrong is found from what the service sees of a request through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatbill.entrypoints.cli.doctor import address_checks as checks
from tests.entrypoints.cli.doctor.scene import DIRECT, around, bad, levels


async def test_an_address_that_does_not_answer_or_is_not_known_is_found(tmp_path: Path) -> None:
    assert await levels(checks.reachable, around(tmp_path)) == []
    assert await levels(checks.reachable, around(tmp_path, seen=None)) == ["error"]
    assert await levels(checks.reachable, around(tmp_path, url=None, seen=None)) == ["warning"]
    assert await levels(checks.proxy_headers, around(tmp_path, seen=None)) == []
    assert await levels(checks.public_clock, around(tmp_path, seen=None)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignored": ("x-forwarded-for", "x-forwarded-proto"), "scheme": "http"}, "192.0.2.1, which is not trusted"),
        ({"scheme": "http"}, "X-Forwarded-Proto is missing"),
        ({"host": "127.0.0.1:8000"}, "Host is not passed on"),
    ],
)
async def test_headers_that_do_not_arrive_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    ((level, what),) = await bad(checks.proxy_headers, around(tmp_path, seen=replace(DIRECT, **changes)))
    assert level.value == "error"
    assert message in what


async def test_a_proxy_that_says_all_has_no_findings(tmp_path: Path) -> None:
    assert await bad(checks.proxy_headers, around(tmp_path)) == []
    assert await bad(checks.proxy_headers, around(tmp_path, seen=replace(DIRECT, host="chat.example.org:443"))) == []


async def test_a_proxy_through_which_clients_choose_their_address_is_found(tmp_path: Path) -> None:
    lied_to = replace(DIRECT, client=checks.INVENTED)
    ((_, what),) = await bad(checks.proxy_headers, around(tmp_path, lied_to=lied_to))
    assert "Any client can choose the address" in what


@pytest.mark.parametrize("client", ["192.0.2.1", "unknown"])
async def test_from_the_machine_of_the_proxy_a_false_address_says_nothing(tmp_path: Path, client: str) -> None:
    parts: dict[str, Any] = {"seen": replace(DIRECT, client=client), "lied_to": replace(DIRECT, client=checks.INVENTED)}
    assert await bad(checks.proxy_headers, around(tmp_path, trusted_proxies="192.0.2.0/24", **parts)) == []


@pytest.mark.parametrize(("ahead_s", "expected"), [(None, []), (3.0, []), (-6.0, ["warning"]), (60.0, ["error"])])
async def test_a_clock_that_differs_from_the_public_one_is_found(
    tmp_path: Path, ahead_s: float | None, expected: list[str]
) -> None:
    seen = replace(DIRECT, clock_ahead_s=ahead_s)
    assert await levels(checks.public_clock, around(tmp_path, seen=seen)) == expected
