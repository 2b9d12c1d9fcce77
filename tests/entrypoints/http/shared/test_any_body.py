"""Random bodies cause no internal error in any route."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.kit.http import Api, api

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    SCALARS | TEXT | st.sampled_from(["demo-mini", "small", "alice", "alice@example.org"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "username",
        "email",
        "password",
        "refresh_token",
        "current_password",
        "new_password",
        "model",
        "message",
        "conversation_id",
        "max_tokens",
        "temperature",
        "title",
        "package",
        "amount",
    ]
)
PATHS = st.sampled_from(
    [
        ("POST", "/auth/register"),
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
        ("POST", "/auth/password"),
        ("POST", "/chat/message"),
        ("POST", "/chat/interactions/x/stop"),
        ("POST", "/billing/add"),
        ("POST", "/admin/users/x/credits"),
        ("POST", "/admin/interactions/x/refund"),
        ("PATCH", "/chat/conversations/x"),
    ]
)


def test_no_body_causes_an_internal_error() -> None:
    with asyncio.Runner() as runner:
        context = api()
        service: Api = runner.run(context.__aenter__())
        alice = runner.run(service.person())

        @given(PATHS, st.dictionaries(FIELDS, VALUES, max_size=6) | VALUES)
        def check(route: tuple[str, str], body: Any) -> None:
            response = runner.run(alice.request(*route, json=body))
            assert response.status_code < 500, response.text

        @given(PATHS, st.binary(max_size=60))
        def check_bytes(route: tuple[str, str], body: bytes) -> None:
            response = runner.run(alice.request(*route, content=body))
            assert response.status_code < 500, response.text

        check()
        check_bytes()
        runner.run(context.__aexit__(None, None, None))
