"""Runs the real nginx and Caddy before services of a test."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

NGINX_FRAME = """
daemon off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off; add_header X-Answered-By $upstream_addr always;
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  SERVER
}
"""
CADDY_FRAME = """
{
  admin off
  auto_https disable_redirects
}
SERVER
"""


def program(name: str) -> str | None:
    """Return the path of a program, also where only the superuser looks; None if it is not installed."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@dataclass(frozen=True)
class Proxy:
    """A reverse proxy. Its command ends with the file of its configuration, whose servers stand in a frame."""

    name: str
    package: str
    command: tuple[str, ...]
    frame: str

    def started(self, folder: Path, server: str) -> subprocess.Popen[bytes]:
        """Start it with the configuration of one server, or skip the test."""
        found = program(self.name)
        if found is None:
            pytest.skip(
                f"NO {self.name.upper()}: the configuration of the guide was not tested. Install {self.package}."
            )
        (folder / "proxy.conf").write_text(self.frame.replace("SERVER", server), encoding="utf-8")
        homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        return subprocess.Popen([found, *self.command, "proxy.conf"], cwd=folder, env=os.environ | homes)


def nginx(folder: Path) -> Proxy:
    return Proxy("nginx", "nginx-light", ("-p", str(folder), "-c"), NGINX_FRAME)


def caddy(_: Path) -> Proxy:
    return Proxy("caddy", "caddy", ("run", "--adapter", "caddyfile", "--config"), CADDY_FRAME)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


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
    raise AssertionError("the proxy does not listen")


def one_process(server: str) -> str:
    """Return the configuration of nginx in `deploy/` for one process alone."""
    return re.sub(r"^ *server 127\.0\.0\.1:8001 .*\n", "", server, flags=re.MULTILINE)
