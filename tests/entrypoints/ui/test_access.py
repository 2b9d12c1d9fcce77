from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from chatbill.entrypoints.ui import create_web
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.entrypoints.ui.test_session import registered
from tests.kit.support import World

JOIN = {"data": [], "fn_index": 0, "session_hash": "tab"}


@pytest.mark.parametrize("path", ["/", "/ui"])
async def test_short_addresses_redirect_to_the_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 307
    assert answer.headers["location"] == "/ui/"


@pytest.mark.parametrize("path", ["/docs", "/docs/openapi.json", "/openapi.json", "/auth/login", "/health", "/redoc"])
async def test_other_addresses_belong_to_the_api(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).text == "the API"


async def test_the_page_works_without_the_api(served: World) -> None:
    transport = httpx.ASGITransport(app=create_web(served.use_cases))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        assert (await client.get("/ui/")).status_code == 200
        assert (await client.get("/docs")).status_code == 404


async def test_the_sign_in_page_shows_the_welcome_credits(client: httpx.AsyncClient) -> None:
    page = await client.get("/ui/")
    assert "New accounts start with 100 credits." in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_the_chat_page_names_chatbill_and_is_not_cached(client: httpx.AsyncClient) -> None:
    await registered(client)
    page = await client.get("/ui/", headers={"Accept-Encoding": "br, gzip"})
    assert "<title>chatbill</title>" in page.text
    assert page.text.count('<dialog id="cb-keys"') == 1
    assert "<meta property" not in page.text
    assert 'name="twitter:' not in page.text
    assert "raw.githubusercontent.com" not in page.text
    assert "manifest.json" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_pages_cannot_load_from_other_hosts_or_be_framed(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/ui/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


async def test_files_are_cached_until_they_change(client: httpx.AsyncClient) -> None:
    page = (await client.get("/ui/")).text
    address = page.split('<script src="')[1].split('"')[0]
    answer = await client.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/web/assets/app.py")).status_code == 404


async def test_handlers_need_a_sign_in(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ui/gradio_api/queue/join", json=JOIN)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ui/gradio_api/upload"),
        ("POST", "/ui/gradio_api/run/predict"),
        ("POST", "/ui/gradio_api/call/send"),
        ("GET", "/ui/gradio_api/file=/etc/passwd"),
        ("GET", "/ui/gradio_api/proxy=http://example.org"),
        ("GET", "/ui/gradio_api/info"),
        ("GET", "/ui/config"),
        ("GET", "/ui/monitoring"),
        ("GET", "/ui/gradio_api/queue/../upload"),
    ],
)
async def test_addresses_of_gradio_that_the_page_does_not_need_are_closed(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    await registered(client)
    answer = await client.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code in {404, 405}


async def test_another_site_cannot_send_events(client: httpx.AsyncClient) -> None:
    await registered(client)
    other_site = {"Origin": "http://evil.example.org"}
    assert (await client.post("/ui/gradio_api/queue/join", json=JOIN, headers=other_site)).status_code == 403


async def test_a_body_must_have_a_known_and_limited_size(client: httpx.AsyncClient) -> None:
    huge = await client.post("/web/session", content=b"x" * 1_000_001, headers=FROM_HERE)
    assert huge.status_code == 413

    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"{}"

    unknown = await client.post("/web/session", content=endless(), headers=FROM_HERE)
    assert unknown.status_code == 411
