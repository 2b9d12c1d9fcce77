from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.ports.rate_limits import Limit
from chatbill.entrypoints.ui import create_web
from tests.entrypoints.ui.conftest import FROM_HERE, SITE, registered
from tests.kit.support import World, world


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
    assert page.text.count('id="cb-frame"') == 1
    assert "<meta property" not in page.text
    assert 'name="twitter:' not in page.text
    assert "raw.githubusercontent.com" not in page.text
    assert "manifest.json" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_pages_cannot_load_from_other_hosts_or_be_framed(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/ui/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


async def test_files_are_cached_until_they_change(client: httpx.AsyncClient) -> None:
    page = (await client.get("/ui/")).text
    address = page.split('<script src="')[1].split('"')[0]
    answer = await client.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    # A page of the next version may ask this process while it is replaced.
    other = await client.get(f"{address}0")
    assert (other.content, other.headers["cache-control"]) == (answer.content, "no-store")
    assert (await client.get("/web/assets/app.py")).status_code == 404


@pytest.mark.parametrize("path", ["/ui/gradio_api/startup-events", "/ui/gradio_api/app_id"])
async def test_what_the_page_needs_of_gradio_needs_a_sign_in(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    await registered(client)
    assert (await client.get(path)).status_code == 200


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
        ("POST", "/ui/gradio_api/queue/join"),
        ("GET", "/ui/gradio_api/queue/data"),
        ("GET", "/ui/assets/..%2fconfig"),
        ("GET", "/ui/assets/..%5cconfig"),
        ("GET", "/ui/static/%2e%2e/%2e%2e/etc/passwd"),
        ("GET", "/ui/theme.css/config"),
        ("GET", "/ui/c/..%2f"),
        ("GET", "/ui/c/a/b"),
        ("POST", "/ui/credits"),
        ("GET", "/ui/nothing"),
    ],
)
async def test_addresses_of_gradio_that_the_page_does_not_need_are_closed(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    await registered(client)
    answer = await client.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code in {404, 405}


@pytest.mark.parametrize(
    "path", ["", "credits", "account/security", "c/01a21e08-7cd4-7225-be76-0789537df225", "c/..%3f"]
)
async def test_every_view_has_an_address_that_shows_the_page(client: httpx.AsyncClient, path: str) -> None:
    assert 'id="sign-in"' in (await client.get(f"/ui/{path}")).text
    await registered(client)
    page = await client.get(f"/ui/{path}")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert 'id="cb-frame"' in page.text
    assert '<base href="/ui/">' in page.text


async def test_the_page_is_shown_when_its_view_has_an_unexpected_error(
    client: httpx.AsyncClient, served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(client)

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(served.use_cases.chat.read_branch), "__call__", fail)
    page = await client.get("/ui/c/01a21e08-7cd4-7225-be76-0789537df225")
    assert page.status_code == 200
    assert 'id="cb-frame"' in page.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_parts_of_the_page_cannot_be_read_by_other_sites(client: httpx.AsyncClient, site: str) -> None:
    await registered(client)
    elsewhere = {"Sec-Fetch-Site": site}
    for path in ("/web/views/credits", "/web/api-keys", "/web/account/export", "/web/events"):
        assert (await client.get(path, headers=elsewhere)).status_code == 403
    for path in ("/ui/", "/web/reset", "/web/verify", "/web/assets/base.css"):
        assert (await client.get(path, headers=elsewhere)).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_the_page_itself_reads_its_parts(client: httpx.AsyncClient, site: str) -> None:
    await registered(client)
    assert (await client.get("/web/views/credits", headers={"Sec-Fetch-Site": site})).status_code == 200


async def test_only_a_visitor_who_came_by_a_link_asks_again(client: httpx.AsyncClient) -> None:
    assert " data-linked" not in (await client.get("/ui/")).text
    assert " data-linked" in (await client.get("/ui/", headers={"Sec-Fetch-Site": "cross-site"})).text
    assert " data-linked" not in (await client.get("/ui/", headers={"Sec-Fetch-Site": "same-origin"})).text


async def test_nothing_of_a_person_is_cached_errors_included(client: httpx.AsyncClient) -> None:
    for path in ("/web/views/credits", "/web/nothing", "/ui/nothing", "/web/api-keys"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"
    await registered(client)
    for path in ("/web/views/credits", "/web/nothing", "/ui/nothing", "/web/api-keys", "/web/account/export"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_answers_to_actions_are_not_compressed(client: httpx.AsyncClient) -> None:
    packed = {"Accept-Encoding": "gzip"}
    await registered(client)
    assert (await client.get("/web/views/account", headers=packed)).headers["content-encoding"] == "gzip"
    answer = await client.post("/web/second-factor", json={}, headers=packed)
    assert len(answer.content) > 1_000
    assert "content-encoding" not in answer.headers


async def test_requests_of_a_person_are_limited_also_for_the_page_itself() -> None:
    here = world(rate_limits=MovingWindowRateLimits(), page_events=Limit(name="events", times=4, window_s=60))
    transport = httpx.ASGITransport(app=create_web(here.use_cases))
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        await registered(client)
        # The page brings its first view, which counts as well.
        answers = [await client.get(path) for path in ("/web/views/credits", "/ui/", "/web/views/account", "/ui/")]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert (await client.get("/web/views/credits")).status_code == 429
        assert "retry-after" in answers[-1].headers


async def test_a_body_must_have_a_known_and_limited_size(client: httpx.AsyncClient) -> None:
    huge = await client.post("/web/session", content=b"x" * 1_000_001, headers=FROM_HERE)
    assert huge.status_code == 413

    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"{}"

    for method, path in (("POST", "/web/session"), ("DELETE", "/web/session")):
        unknown = await client.request(method, path, content=endless(), headers=FROM_HERE)
        assert unknown.status_code == 411
    absurd = await client.post("/web/session", content=b"{}", headers=FROM_HERE | {"Content-Length": "9" * 5_000})
    assert absurd.status_code == 413


async def test_the_page_brings_its_first_view_unless_another_site_has_opened_it(client: httpx.AsyncClient) -> None:
    await registered(client)
    own = await client.get("/ui/history?q=tides")
    assert 'data-name="history"' in own.text
    assert 'value="tides"' in own.text
    for site in ("same-site", "cross-site"):
        other = await client.get("/ui/history?q=tides", headers={"Sec-Fetch-Site": site})
        assert other.status_code == 200
        assert "tides" not in other.text
    assert 'data-name="chat"' not in (await client.get("/ui/c/unknown")).text
