"""Run by `nox -s compose`: brings `deploy/compose.yaml` up, uses it as people and operators do, and takes it down."""

from __future__ import annotations

import argparse
import json
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.image import PASSWORD, build, say
from tests.kit.deployment import DEPLOY, documents
from tests.kit.docker import Docker, engine

OURS = ("chatbill-1", "chatbill-2", "worker")
SITE = "https://localhost"
PROMETHEUS = "http://127.0.0.1:9090"
CADDY_ROOT = "caddy:/data/caddy/pki/authorities/local/root.crt"
SCRAPED_WITHIN_S = 60
HOLDS = "grep -q 'CapEff:.0*$' /proc/1/status && ! touch /opt/chatbill/written && touch /data/written && id -u"
PAUSE_S = 1.0
"""Between messages: limits for a person are not what is tried here."""
WELCOME = 1000


class Site:
    """A copy of `deploy/` that Compose runs."""

    def __init__(self, docker: Docker, deploy: Path, mounts: list[str]) -> None:
        self._docker, self._deploy = docker, deploy
        more = {"services": {name: {"volumes": mounts} for name in OURS}}
        (deploy / "mounts.yaml").write_text(yaml.safe_dump(more if mounts else {}), encoding="utf-8")

    def compose(self, *arguments: str, text: str | None = None, timeout_s: int = 600) -> str:
        files = ["-f", str(self._deploy / "compose.yaml"), "-f", str(self._deploy / "mounts.yaml")]
        return self._docker.run("compose", "--progress=quiet", *files, *arguments, text=text, timeout_s=timeout_s)

    def up(self, *arguments: str) -> float:
        began = time.monotonic()
        self.compose("up", "-d", "--no-build", "--wait", *arguments)
        return time.monotonic() - began

    def client(self) -> httpx.Client:
        """Return a client that trusts the certificate of Caddy, and no other."""
        root = self._deploy / "root.crt"
        self.compose("cp", CADDY_ROOT, str(root))
        return httpx.Client(base_url=SITE, verify=ssl.create_default_context(cafile=str(root)), timeout=120)


def copy_of_deploy(folder: Path) -> Path:
    """Return a copy of `deploy/` for localhost, for which Caddy makes a certificate itself, with new secrets."""
    deploy = folder / "deploy"
    shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("secrets", ".env"))
    text = (deploy / "env.example").read_text(encoding="utf-8").replace("DOMAIN=chat.example.org", "DOMAIN=localhost")
    text = text.replace("WELCOME_CREDITS=100\n", f"WELCOME_CREDITS={WELCOME}\n")
    (deploy / ".env").write_text(text, encoding="utf-8")
    subprocess.run([deploy / "secrets.sh"], check=True, timeout=30)
    return deploy


def sign_in(client: httpx.Client) -> None:
    person = {"username": "ann", "email": "ann@example.org", "password": PASSWORD}
    client.post("/auth/register", json=person).raise_for_status()
    tokens = client.post("/auth/login", json=person).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"


def send(client: httpx.Client, message: str) -> dict[str, Any]:
    body = {"model": "demo-mini", "message": message}
    response = client.post("/chat/message", json=body)
    assert response.status_code == 200, f"{response.status_code} {dict(response.headers)} {response.text}"
    answer: dict[str, Any] = response.json()
    return answer


def scraped() -> dict[str, str]:
    """Return the health of each process as Prometheus sees it, once it has asked all of them."""
    deadline = time.monotonic() + SCRAPED_WITHIN_S
    while True:
        found = httpx.get(f"{PROMETHEUS}/api/v1/targets").raise_for_status().json()["data"]["activeTargets"]
        health = {target["labels"]["instance"]: target["health"] for target in found}
        if set(health.values()) == {"up"} or time.monotonic() > deadline:
            return health
        time.sleep(1)


@contextmanager
def messages(client: httpx.Client) -> Iterator[list[float]]:
    """Send messages one after the other meanwhile; yields the seconds that each took. One that fails ends it."""
    took: list[float] = []
    ended = threading.Event()
    failed: list[Exception] = []

    def go_on() -> None:
        while not ended.is_set() and not failed:
            began = time.monotonic()
            try:
                send(client, "Say yes.")
            except (httpx.HTTPError, AssertionError) as error:
                failed.append(error)
            took.append(time.monotonic() - began)
            ended.wait(PAUSE_S)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield took
    finally:
        ended.set()
        thread.join()
    assert failed == [], f"message {len(took)} failed: {failed}"


def use(site: Site) -> None:
    """Do what docs/deployment.md says, and look at what compose.yaml promises."""
    moved = httpx.get("http://localhost/health", timeout=10)
    assert (moved.status_code, moved.headers["Location"]) == (308, f"{SITE}/health"), moved
    for name in OURS:
        assert site.compose("exec", "-T", name, "sh", "-euc", HOLDS) == "10001", f"{name} may do too much"
    health = scraped()
    assert health == {f"{name}:9464": "up" for name in OURS}, health
    rules = httpx.get(f"{PROMETHEUS}/api/v1/rules").raise_for_status().json()["data"]["groups"]
    assert all(rule["health"] == "ok" for group in rules for rule in group["rules"])
    say(f"Prometheus reads {len(health)} processes and has {sum(len(group['rules']) for group in rules)} rules")
    admin = ("chatbill", "admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin")
    say(site.compose("exec", "-T", "worker", *admin, text=f"{PASSWORD}\n"))
    with site.client() as client:
        sign_in(client)
        answer = send(client, "What is the capital of France? Answer in one sentence.")
        say(f"{answer['reply']} ({answer['credits_charged']} credits)")
        with messages(client) as took:
            for name in ("chatbill-1", "chatbill-2"):
                site.up("--no-deps", "--force-recreate", name)
        say(f"{len(took)} messages while each process was replaced, none failed; the longest took {max(took):.1f} s")
        left = WELCOME - answer["credits_charged"] * (1 + len(took))
        balance = client.get("/billing/balance").raise_for_status().json()
        assert balance == {"balance": left, "held": 0, "available": left}, balance
    dump = site.compose("exec", "-T", "postgres", "sh", "-c", "pg_dump -U chatbill --format=custom chatbill | wc -c")
    say(f"the backup has {int(dump):,} bytes")
    say(site.compose("exec", "-T", "worker", "chatbill", "ledger", "verify"))


def brought_up(site: Site, without: list[str]) -> None:
    """Bring up every service that has an image, use it, and take it down."""
    names = [name for name in documents(DEPLOY / "compose.yaml")[0]["services"] if name not in without]
    try:
        say(f"{len(names)} services are up and healthy after {site.up(*names):.1f} s")
        use(site)
        began = time.monotonic()
        site.compose("stop")
        listed = [json.loads(line) for line in site.compose("ps", "-a", "--format", "json").splitlines()]
        codes = {each["Service"]: each["ExitCode"] for each in listed}
        say(f"stopped after {time.monotonic() - began:.1f} s, with {codes}")
        assert all(codes[name] == 0 for name in OURS), codes
    except BaseException:
        say(site.compose("logs", "--no-color", "--tail=25"))
        raise
    finally:
        site.compose("down", "-v")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="an image with Python 3.11 to 3.13; default: the one of the Containerfile")
    parser.add_argument("--volume", action="append", default=[], help="for the build and for the service")
    arguments = parser.parse_args()
    image = build("slim", arguments.base, [f"--volume={volume}" for volume in arguments.volume])
    services = documents(DEPLOY / "compose.yaml")[0]["services"]
    with tempfile.TemporaryDirectory() as folder, engine(Path(folder)) as docker:
        docker.load(image, "chatbill:slim")
        without = docker.provide({name: each["image"] for name, each in services.items() if name not in OURS})
        if without:
            say(f"{' AND '.join(without).upper()} CANNOT BE PULLED AND HAVE NO STAND-IN: LEFT OUT")
        brought_up(Site(docker, copy_of_deploy(Path(folder)), arguments.volume), without)


if __name__ == "__main__":
    main()
