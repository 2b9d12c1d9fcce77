"""The page behind the real nginx, with the configuration of docs/operators.md and with a plain one."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import Visitor
from tests.service.process import Service

pytestmark = pytest.mark.slow

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
GUIDE = Path(__file__).parents[2] / "docs" / "operators.md"
FRAME = """
daemon off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  SERVER
}
"""
TLS = "listen PORT ssl; ssl_certificate chat.example.org.pem; ssl_certificate_key chat.example.org.key;"
PLAIN = "server { listen PORT; location / { proxy_pass http://BACKEND; } }"
PLAIN_TLS = (
    f"server {{ {TLS} location / {{ proxy_pass http://BACKEND; proxy_set_header X-Forwarded-Proto https;"
    " proxy_set_header X-Forwarded-Host $host:PORT; } }"
)


def of_the_guide() -> str:
    found = re.search(r"```nginx\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1].replace("443", "PORT").replace("127.0.0.1:8000", "BACKEND")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def behind(tmp_path: Path, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Return a function that starts a service and nginx before it, and opens a window."""
    if NGINX is None:
        pytest.skip("NO NGINX: the configuration of the guide was not tested. Install nginx-light.")
    ended: list[Callable[[], object]] = []

    def start(server: str, scheme: str, path: str = "") -> Visitor:
        variables = {"CHATBILL_TRUSTED_PROXIES": "127.0.0.1", "CHATBILL_ROOT_PATH": path}
        service = Service(tmp_path / "data", variables, mode="all").start()
        ended.append(service.kill)
        port = free_port()
        make_certificate(tmp_path)
        backend = service.url.removeprefix("http://")
        filled = server.replace("PORT", str(port)).replace("BACKEND", backend)
        (tmp_path / "nginx.conf").write_text(FRAME.replace("SERVER", filled), encoding="utf-8")
        process = subprocess.Popen([str(NGINX), "-p", str(tmp_path), "-c", "nginx.conf"])
        ended.extend([lambda: process.wait(10), process.terminate])
        wait_for(port)
        context = browser.new_context(ignore_https_errors=True)
        ended.append(context.close)
        return Visitor(context.new_page(), f"{scheme}://chat.test:{port}{path}", prefix="nginx")

    yield start
    for end in reversed(ended):
        end()


def make_certificate(folder: Path) -> None:
    files = ["-keyout", str(folder / "chat.example.org.key"), "-out", str(folder / "chat.example.org.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat.test"]
    subprocess.run([*command, *files], check=True, capture_output=True)


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nginx does not listen")


@pytest.mark.parametrize(
    ("server", "path"),
    [
        (of_the_guide(), ""),
        (of_the_guide().replace("location / {", "location /chatbill/ {"), "/chatbill"),
        (PLAIN_TLS, ""),
    ],
    ids=["guide", "guide-below-a-path", "forwarded-host"],
)
def test_the_page_works_over_https(behind: Callable[..., Visitor], server: str, path: str) -> None:
    visitor = behind(server, "https", path).register("ann")
    page = visitor.page
    assert page.url.startswith(f"{visitor.address}/ui/")
    (cookie,) = page.context.cookies()
    assert (cookie["secure"], cookie["path"]) == (True, f"{path}/")
    visitor.send("Hello [[tokens:3]] there")
    expect(page.locator("#cb-chat [data-testid=bot]").last).to_contain_text("1 credit")
    page.get_by_role("button", name="API keys").click()
    expect(page.locator("#cb-keys .cb-base").first).to_have_text(f"{visitor.address}/v1")
    page.get_by_role("button", name="Close").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Username or e-mail")).to_be_visible()
    assert page.url == f"{visitor.address}/ui/"
    assert (visitor.errors, visitor.strangers, visitor.refused) == ([], [], [])


def test_a_plain_nginx_is_explained_on_the_page(behind: Callable[..., Visitor]) -> None:
    visitor = behind(PLAIN, "http")
    visitor.page.goto(f"{visitor.address}/ui/")
    visitor.sign_in("ann", "some password")
    told = visitor.page.locator("#sign-in .trouble")
    expect(told).to_contain_text("proxy_set_header Host $http_host;")
    expect(told).to_contain_text("CHATBILL_TRUSTED_PROXIES")
