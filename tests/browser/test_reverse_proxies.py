"""The page behind the real nginx and Caddy, with the configurations of docs/operators.md and with a plain one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import Visitor
from tests.kit.proxies import Proxy, caddy, free_port, make_certificate, nginx, one_process, wait_for
from tests.service.process import Service

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NGINX = ROOT / "deploy" / "nginx" / "chatbill.conf"
GUIDE = ROOT / "docs" / "operators.md"
TLS = "listen PORT ssl; ssl_certificate chat.example.org.pem; ssl_certificate_key chat.example.org.key;"
PLAIN = "server { listen PORT; location / { proxy_pass http://BACKEND; } }"
PLAIN_TLS = (
    f"server {{ {TLS} location / {{ proxy_pass http://BACKEND; proxy_set_header X-Forwarded-Proto https;"
    " proxy_set_header X-Forwarded-Host $host:PORT; } }"
)


def of_the_guide(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1].replace("443", "PORT").replace("127.0.0.1:8000", "BACKEND")


NGINX_GUIDE = one_process(NGINX.read_text(encoding="utf-8")).replace("443", "PORT").replace("127.0.0.1:8000", "BACKEND")
CADDY_GUIDE = of_the_guide("caddy").replace(
    "chat.example.org {", "chat.test:PORT {\n  tls chat.example.org.pem chat.example.org.key"
)


@pytest.fixture
def behind(tmp_path: Path, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Return a function that starts a service and a proxy before it, and opens a window."""
    ended: list[Callable[[], object]] = []

    def start(proxy: Callable[[Path], Proxy], server: str, scheme: str, path: str = "") -> Visitor:
        variables = {"CHATBILL_TRUSTED_PROXIES": "127.0.0.1", "CHATBILL_ROOT_PATH": path}
        service = Service(tmp_path / "data", variables, mode="all").start()
        ended.append(service.kill)
        port = free_port()
        make_certificate(tmp_path)
        backend = service.url.removeprefix("http://")
        filled = server.replace("PORT", str(port)).replace("BACKEND", backend)
        process = proxy(tmp_path).started(tmp_path, filled)
        ended.extend([lambda: process.wait(10), process.terminate])
        wait_for(port)
        context = browser.new_context(ignore_https_errors=True)
        ended.append(context.close)
        return Visitor(context.new_page(), f"{scheme}://chat.test:{port}{path}", prefix="proxy")

    yield start
    for end in reversed(ended):
        end()


@pytest.mark.parametrize(
    ("proxy", "server", "path"),
    [
        (nginx, NGINX_GUIDE, ""),
        (nginx, NGINX_GUIDE.replace("location / {", "location /chatbill/ {"), "/chatbill"),
        (nginx, PLAIN_TLS, ""),
        (caddy, CADDY_GUIDE, ""),
        (caddy, CADDY_GUIDE.replace("reverse_proxy BACKEND", "reverse_proxy /chatbill/* BACKEND"), "/chatbill"),
    ],
    ids=["nginx", "nginx-below-a-path", "nginx-forwarded-host", "caddy", "caddy-below-a-path"],
)
def test_the_page_works_over_https(
    behind: Callable[..., Visitor], proxy: Callable[[Path], Proxy], server: str, path: str
) -> None:
    visitor = behind(proxy, server, "https", path).register("ann")
    page = visitor.page
    assert page.url.startswith(f"{visitor.address}/ui/")
    (cookie,) = page.context.cookies()
    assert (cookie["secure"], cookie["path"]) == (True, f"{path}/")
    visitor.send("Hello [[tokens:3]] there")
    visitor.sees_balance("99 credits")
    page.wait_for_url(f"{visitor.address}/ui/c/*")
    page.reload()
    expect(visitor.chat).to_contain_text("Hello")
    visitor.goes("Account").follow(page.get_by_role("link", name="Security"))
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    page.get_by_role("button", name="API keys").click()
    expect(page.locator("#cb-keys .cb-example-base").first).to_have_text(f"{visitor.address}/v1")
    page.get_by_role("button", name="Close").first.click()
    # What the page asks for while it signs out is refused.
    assert visitor.refused == []
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_label("Username or e-mail")).to_be_visible()
    assert page.url == f"{visitor.address}/ui/"
    assert (visitor.errors, visitor.strangers) == ([], [])


@pytest.mark.parametrize(("proxy", "server"), [(nginx, NGINX_GUIDE), (caddy, CADDY_GUIDE)], ids=["nginx", "caddy"])
def test_what_a_client_says_about_proxies_is_not_believed(
    behind: Callable[..., Visitor], proxy: Callable[[Path], Proxy], server: str
) -> None:
    port = behind(proxy, server, "https").address.rpartition(":")[2]
    forged = {"X-Forwarded-Host": "evil.test", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "http"}
    headers = {"Host": f"chat.test:{port}", **forged}
    with httpx.Client(verify=False) as client:  # noqa: S501
        address = f"https://127.0.0.1:{port}/ui"
        answer = client.get(address, headers=headers, extensions={"sni_hostname": "chat.test"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")
    assert "strict-transport-security" in answer.headers


def test_a_plain_nginx_is_explained_on_the_page(behind: Callable[..., Visitor]) -> None:
    visitor = behind(nginx, PLAIN, "http")
    visitor.page.goto(f"{visitor.address}/ui/")
    visitor.tries_to_sign_in("ann", "some password")
    told = visitor.page.locator("#sign-in .trouble")
    expect(told).to_contain_text("proxy_set_header Host $http_host;")
    expect(told).to_contain_text("CHATBILL_TRUSTED_PROXIES")
