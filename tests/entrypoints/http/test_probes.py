"""What the service sees of a request is told to the doctor of the same operator alone."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from chatbill.entrypoints.http import HttpConfig
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.probes import HEADER, PATH, VALID_S, ask, is_signed, signature
from chatbill.entrypoints.web.proxies import BehindProxies
from tests.kit.http import api

KEY = b"0123456789abcdef0123456789abcdef"
PROXY = ("10.0.0.1", 1)
SAID = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Host": "chat.example.org"}


async def seen(trusted: tuple[str, ...], **headers: str) -> Any:
    """Return the answer to a request of a proxy."""
    async with api(config=HttpConfig(probe_key=KEY)) as made:
        app: Any = BehindProxies(made.app, ClientAddresses.behind(trusted))
        transport = httpx.ASGITransport(app, client=PROXY)
        async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
            signed = {HEADER: signature(KEY, int(time.time()))}
            return (await client.get(PATH, headers={**signed, **SAID, **headers})).json()


async def test_the_doctor_sees_what_trusted_and_other_proxies_have_said() -> None:
    expected = {"scheme": "https", "host": "chat.example.org", "client": "192.0.2.1", "ignored": []}
    assert await seen(("10.0.0.0/8",)) == expected
    ignored = ["x-forwarded-for", "x-forwarded-proto"]
    assert await seen(()) == {"scheme": "http", "host": "chat.example.org", "client": "10.0.0.1", "ignored": ignored}


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize(
    "header", [None, "", "1", "1.", ".", "²." + "0" * 64, "9" * 13 + ".x", signature(KEY, 0), "é", "forged"]
)
async def test_any_other_request_is_answered_as_one_for_nothing(key: bytes | None, header: str | None) -> None:
    if header == "forged":
        header = signature(b"another key", int(time.time()))
    async with api(config=HttpConfig(probe_key=key)) as made:
        client = made.client()
        headers = [] if header is None else [(HEADER.encode(), header.encode())]
        answer, nothing = await client.get(PATH, headers=headers), await client.get("/health/nothing")
    assert answer.status_code == nothing.status_code == 404
    assert answer.json()["type"] == nothing.json()["type"]
    assert answer.json()["detail"] == nothing.json()["detail"]


def test_a_signature_ends_after_a_minute() -> None:
    for off_s, valid in ((0, True), (VALID_S, True), (-VALID_S, True), (VALID_S + 1, False), (-VALID_S - 1, False)):
        assert is_signed(KEY, signature(KEY, 10_000), now_s=10_000 + off_s) is valid


async def test_an_address_where_nothing_listens_is_an_error_in_words() -> None:
    with pytest.raises(OSError, match=r"\w"):
        await ask("http://127.0.0.1:1", KEY, {})
