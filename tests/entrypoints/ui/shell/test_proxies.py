"""The page behind reverse proxies: the address in the browser, HTTPS, a prefix, and explanations of what is missing."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from chatbill.entrypoints.http import HttpConfig, create_app
from chatbill.entrypoints.ui import WebConfig, create_web
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.proxies import BehindProxies
from tests.entrypoints.ui.conftest import ALICE
from tests.kit.support import world

HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.test:8443"}
FROM_PAGE = {"Origin": "https://chat.test:8443", "Sec-Fetch-Site": "same-origin"}


@contextlib.asynccontextmanager
async def behind(trusted: str = "127.0.0.1", root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that speaks as the proxy at 127.0.0.1, to which a service listens on port 8000."""
    use_cases = world().use_cases
    api: Any = create_app(use_cases, HttpConfig(serve_root=False, root_path=root_path))
    web = create_web(use_cases, api, WebConfig(session_s=7_200))
    app: Any = BehindProxies(web, ClientAddresses.behind([trusted]), root_path=root_path)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 9))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


def gradio_root(page: str) -> str:
    found = re.search(r'"root":\s*("[^"]*")', page)
    assert found
    return str(json.loads(found[1]))


async def sign_in(client: httpx.AsyncClient, path: str = "/web/registration", **headers: str) -> httpx.Response:
    answer = await client.post(path, json=ALICE, headers=headers)
    client.cookies.clear()
    if cookie := answer.headers.get("set-cookie"):
        client.headers["Cookie"] = cookie.partition(";")[0]
    return answer


async def test_the_forwarded_host_and_scheme_of_a_trusted_proxy_count() -> None:
    async with behind() as client:
        answer = await sign_in(client, **HTTPS, **FROM_PAGE)
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("__Host-chatbill_session=")
        page = await client.get("/ui/", headers=HTTPS)
        assert gradio_root(page.text) == "https://chat.test:8443/ui"


async def test_the_forwarded_host_of_another_peer_is_ignored_and_named() -> None:
    async with behind(trusted="10.0.0.1") as client:
        answer = await sign_in(client, **HTTPS, Origin="https://chat.test:8443")
        assert answer.status_code == 403
        words = answer.json()["detail"]
        assert "X-Forwarded-Host" in words
        assert "127.0.0.1" in words
        assert "CHATBILL_TRUSTED_PROXIES" in words
        page = await client.get("/ui/", headers=HTTPS)
        assert "chat.test" not in page.text


@pytest.mark.parametrize("sent", [{}, {"Sec-Fetch-Site": "same-origin"}])
async def test_a_proxy_that_does_not_pass_the_host_is_explained(sent: dict[str, str]) -> None:
    async with behind() as client:
        answer = await sign_in(client, Origin="http://chat.test:8081", **sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        words = answer.json()["detail"]
        for part in ("http://chat.test:8081", "127.0.0.1:8000", "Host", "X-Forwarded-Host", "proxy_set_header"):
            assert part in words


async def test_a_proxy_that_does_not_pass_the_scheme_is_explained() -> None:
    async with behind() as client:
        answer = await sign_in(client, Host="chat.test:8443", **FROM_PAGE)
        assert answer.status_code == 403
        assert "X-Forwarded-Proto" in answer.json()["detail"]


async def test_another_site_is_named_as_such() -> None:
    async with behind() as client:
        answer = await sign_in(client, **{"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"})
        assert (answer.status_code, answer.json()["detail"]) == (403, "This request came from another site.")


@pytest.mark.parametrize(
    ("root_path", "start", "forwarded"),
    [("/pre", "/pre", {}), ("/pre", "", {}), ("", "", {"X-Forwarded-Prefix": "/pre/"}), ("/chat", "/chat", {})],
    ids=["path-passed-on", "path-cut-off", "forwarded-prefix", "prefix-named-like-a-route"],
)
async def test_everything_is_served_below_a_prefix(root_path: str, start: str, forwarded: dict[str, str]) -> None:
    prefix = root_path or "/pre"
    async with behind(root_path=root_path) as client:
        client.headers.update({"Host": "chat.test", **forwarded})
        assert (await client.get(f"{start}/")).headers["location"] == f"{prefix}/ui/"
        assert (await client.get(f"{start}/ui")).headers["location"] == f"{prefix}/ui/"
        answer = await sign_in(client, f"{start}/web/registration", Origin="http://chat.test")
        assert answer.status_code == 200
        assert f"path={prefix}/;" in f"{answer.headers['set-cookie'].lower()};"
        page = await client.get(f"{start}/ui/")
        for view in ("", "credits", "c/some-conversation", "account/security"):
            page = await client.get(f"{start}/ui/{view}")
            assert f'<base href="{prefix}/ui/">' in page.text
        assert gradio_root(page.text) == f"http://chat.test{prefix}/ui"
        for link in re.findall(r'(?:href|src)="([^"]*web/assets[^"]*)"', page.text):
            address = urljoin(f"http://chat.test{prefix}/ui/", link)
            assert address.startswith(f"http://chat.test{prefix}/web/assets/")
            inner = address.removeprefix(f"http://chat.test{prefix}")
            assert (await client.get(start + inner)).status_code == 200
        assert (await client.get(f"{start}/ui/theme.css")).status_code == 200
        assert (await client.get(f"{start}/health")).json()["status"] == "ok"
        assert (await client.get(f"{start}/v1/models")).json()["error"]["code"] == "invalid_api_key"
        assert (await client.get(f"{start}/chat/models")).status_code == 401
        assert f'href="{prefix}/docs/openapi.json"' in (await client.get(f"{start}/docs")).text


async def test_below_a_prefix_other_services_of_the_host_do_not_get_the_cookie() -> None:
    async with behind(root_path="/pre") as client:
        answer = await sign_in(client, "/pre/web/registration", **HTTPS, **FROM_PAGE)
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("__secure-chatbill_session=")
        assert "; path=/pre/;" in cookie
        assert "gradio-app" in (await client.get("/pre/ui/", headers=HTTPS)).text


async def test_the_document_names_the_root_path() -> None:
    async with behind(root_path="/pre") as client:
        assert (await client.get("/pre/docs/openapi.json")).json()["servers"] == [{"url": "/pre"}]


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b", "/a\\b", "/a b", "/a?b", "evil"])
async def test_a_forwarded_prefix_that_is_no_path_is_ignored(prefix: str) -> None:
    async with behind() as client:
        assert (await client.get("/", headers={"X-Forwarded-Prefix": prefix})).headers["location"] == "/ui/"


@pytest.mark.parametrize("host", ["evil.example/x", "a b", "user@evil.example", "<script>"])
async def test_a_forwarded_host_that_is_no_host_is_ignored(host: str) -> None:
    async with behind() as client:
        answer = await sign_in(client, **{"X-Forwarded-Host": host, "Origin": "http://127.0.0.1:8000"})
        assert answer.status_code == 200


async def test_of_several_forwarded_values_the_outermost_trusted_proxy_counts() -> None:
    async with behind() as client:
        forwarded = {"X-Forwarded-For": "192.0.2.7, 127.0.0.1", "X-Forwarded-Host": "evil.test, chat.test, inner.test"}
        assert (await sign_in(client, Origin="http://chat.test", **forwarded)).status_code == 200


async def test_hsts_is_sent_over_https_alone() -> None:
    async with behind() as client:
        for path in ("/ui/", "/health", "/nothing", "/web/assets/base.css"):
            secure = await client.get(path, headers=HTTPS)
            assert secure.headers["strict-transport-security"].startswith("max-age=")
            assert "strict-transport-security" not in (await client.get(path)).headers
    async with behind(trusted="10.0.0.1") as client:
        assert "strict-transport-security" not in (await client.get("/ui/", headers=HTTPS)).headers


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/", "/web/api-keys", "/web/assets/base.css", "/ui/theme.css"])
async def test_head_answers_as_get_on_the_page(path: str) -> None:
    async with behind() as client:
        got, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"] if got.content else True
        assert head.headers.get("content-length") == got.headers.get("content-length")


async def test_a_form_with_a_content_encoding_is_415() -> None:
    async with behind() as client:
        answer = await sign_in(client, **{"Origin": "http://127.0.0.1:8000", "Content-Encoding": "gzip"})
        assert answer.status_code == 415
        assert "Content-Encoding" in answer.json()["detail"]
