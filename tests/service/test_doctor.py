"""The doctor behind a real nginx names what its configuration lacks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.kit.proxies import free_port, program, wait_for
from tests.service.process import Service

pytestmark = pytest.mark.slow
FRAME = """
daemon off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  SERVERS
}
"""
HOST = "proxy_set_header Host $http_host;"
GOOD = (
    f"{HOST} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;"
)
LIES = f"{HOST} proxy_set_header X-Forwarded-For 192.0.2.1; proxy_set_header X-Forwarded-Proto https;"
CONFIGURATIONS = {"good": GOOD, "without_host": "", "another_scheme": LIES}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """A service, and its addresses behind nginx with each configuration."""
    nginx = program("nginx")
    if nginx is None:
        pytest.skip("NO NGINX: the doctor was not tried behind it. Install nginx-light.")
    folder = tmp_path_factory.mktemp("doctor")
    service = Service(folder / "data", {"CHATBILL_TRUSTED_PROXIES": "127.0.0.1"}).start()
    ports = {name: free_port() for name in CONFIGURATIONS}
    servers = "".join(
        f"server {{ listen 127.0.0.1:{ports[name]}; location / {{ proxy_pass {service.url}; {lines} }} }}"
        for name, lines in CONFIGURATIONS.items()
    )
    (folder / "nginx.conf").write_text(FRAME.replace("SERVERS", servers))
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", "nginx.conf"], cwd=folder)
    try:
        wait_for(max(ports.values()))
        yield service, {name: f"http://localhost:{port}" for name, port in ports.items()}
    finally:
        process.terminate()
        process.wait(30)
        service.kill()


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("good", "What the proxy says about clients arrives"),
        ("without_host", "Host is not passed on"),
        ("another_scheme", "believes that it is asked over https"),
    ],
)
def test_what_nginx_does_not_say_is_named(
    addresses: tuple[Service, dict[str, str]], configuration: str, expected: str
) -> None:
    service, urls = addresses
    done = service.run("doctor", "--json", "--url", urls[configuration])
    found = [json.loads(line) for line in done.stdout.splitlines()]
    (finding,) = (each for each in found if each["check"] == "proxy_headers")
    assert expected in finding["what"]
