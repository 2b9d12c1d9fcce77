"""Debian's nginx before several services."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.proxies import free_port, program, wait_for

FRAME = """
daemon off; pid nginx.pid; error_log stderr; worker_processes 1;
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  %s
}
"""
BALANCER = """
map $http_cookie $chatbill_session { "~chatbill_session=(?<token>[^;]+)" $token; }
upstream chatbill { %(choice)s %(servers)s keepalive 64; }
server {
  listen 127.0.0.1:%(port)d;
  location / {
    proxy_pass http://chatbill;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 300s;
    add_header X-Served-By $upstream_addr always;
  }
}
"""
ROUND_ROBIN = ""
STICKY = "hash $chatbill_session$http_authorization;"
"""The same process for all requests of a session."""


@contextmanager
def balancer(folder: Path, urls: list[str], choice: str = ROUND_ROBIN) -> Iterator[str]:
    """Run nginx before services at these addresses, and return its own. Skips the test without nginx."""
    found = program("nginx")
    if found is None:
        pytest.skip("NO NGINX: several processes behind it were not tested. Install nginx-light.")
    port = free_port()
    servers = " ".join(f"server {url.removeprefix('http://')};" for url in urls)
    text = FRAME % (BALANCER % {"choice": choice, "servers": servers, "port": port})
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    process = subprocess.Popen([found, "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
