"""Forgotten passwords and verified addresses over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.http import Api


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@example.org", "no address", ""])
async def test_every_address_gets_the_same_answer(service: Api, alice: httpx.AsyncClient, email: str) -> None:
    answer = await service.client().post("/auth/password/forgot", json={"email": email})
    assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize("body", [{}, {"token": 5}, {"token": "unknown"}, {"token": "x" * 9_999}])
async def test_a_token_that_is_none_is_refused(service: Api, body: dict[str, object]) -> None:
    refused = await service.client().post("/auth/email/verify", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_the_account_says_whether_the_address_is_verified(alice: httpx.AsyncClient) -> None:
    assert (await alice.get("/auth/me")).json()["email_verified"] is False
