"""Run by `nox -s image`: builds the image, runs what is inside as its user, and prints its size and its start time."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import platformdirs
import psutil

from tests.kit.proxies import free_port

ROOT = Path(__file__).parent.parent
BASE = "localhost/chatbill-base:trixie"
BUILDAH = shutil.which("buildah") or "buildah"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
DEBIAN = [shutil.which("mmdebstrap") or "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie"]
HERE = ["--isolation", "chroot", "--network", "host"]
READY_WITHIN_S = 150
STOPPED_WITHIN_S = 60
PASSWORD = "correct horse battery"
FIND = shutil.which("find") or "find"
OTHERS = ("./data/", "./dev/", "./proc/", "./sys/", "./run/", "./etc/hosts", "./etc/resolv.conf")
"""The volume, and what the runner of containers makes."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def buildah(*arguments: str, timeout_s: int = 120) -> str:
    """Run buildah, and return what it prints."""
    command = [BUILDAH, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=timeout_s)
    return done.stdout.strip()


def succeeds(*arguments: str, timeout_s: int = 120) -> bool:
    command = [BUILDAH, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=timeout_s).returncode == 0


def base(chosen: str | None) -> str:
    """Return an image with Python to build on: `chosen`, the one of the Containerfile, or one of Debian's Python."""
    lines = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8").splitlines()
    named = chosen or next(line.removeprefix("ARG PYTHON=") for line in lines if line.startswith("ARG PYTHON="))
    if succeeds("inspect", "--type", "image", named) or succeeds("pull", "-q", named, timeout_s=900):
        return named
    if not succeeds("inspect", "--type", "image", BASE):
        say(f"{named} cannot be pulled, so Debian's Python takes its place")
        with tempfile.TemporaryDirectory() as folder:
            archive = str(Path(folder) / "base.tar")
            subprocess.run([*DEBIAN, archive], check=True, timeout=900)
            container = buildah("from", "scratch")
            buildah("add", "-q", container, archive, "/", timeout_s=600)
            buildah("commit", "-q", "--rm", container, BASE, timeout_s=600)
    return BASE


def build(flavour: str, chosen: str | None, options: list[str]) -> str:
    """Build the image and return its name."""
    python, image, began = base(chosen), f"localhost/chatbill:{flavour}", time.monotonic()
    named = ["--build-arg", f"FLAVOUR={flavour}", "--build-arg", f"PYTHON={python}", "-t", image]
    command = ["build", "-q", "--format", "docker", "--layers", *HERE, *options, "-f", "deploy/Containerfile"]
    buildah(*command, *named, ".", timeout_s=3600)
    say(f"built on {python} in {time.monotonic() - began:.0f} s")
    return image


def compressed_bytes(image: str) -> int:
    """Return what a registry sends of the image."""
    with tempfile.TemporaryDirectory() as folder:
        buildah("push", "-q", image, f"oci:{folder}:image", timeout_s=900)
        return sum(file.stat().st_size for file in (Path(folder) / "blobs").rglob("*") if file.is_file())


@contextmanager
def container_of(image: str) -> Iterator[tuple[str, Path]]:
    """Yield a container of the image and the folder of its file system, with the models that this machine has."""
    container = buildah("from", image)
    try:
        models = Path(os.environ.get("CHATBILL_TEST_MODELS") or platformdirs.user_cache_path("chatbill") / "models")
        if models.is_dir():
            buildah("copy", "-q", "--chown", "10001:10001", container, str(models), "/data/models", timeout_s=600)
        yield container, Path(buildah("mount", container))
    finally:
        buildah("umount", container)
        buildah("rm", container)


@contextmanager
def running(container: str, port: int, engine: str) -> Iterator[float]:
    """Run what the image starts, as its user. Yields the seconds until it answers, and stops it by SIGTERM."""
    config = json.loads(buildah("inspect", container))["Docker"]["config"]
    settings = ["--env", f"CHATBILL_PORT={port}", "--env", f"CHATBILL_LOCAL_ENGINE={engine}"]
    command = [BUILDAH, "run", *HERE, *settings, container, "--"]
    began = time.monotonic()
    process = subprocess.Popen([*command, *config["Entrypoint"], *config["Cmd"]], cwd=ROOT)
    try:
        while not answers(port):
            if process.poll() is not None or time.monotonic() - began > READY_WITHIN_S:
                sys.exit("the service in the image did not become ready")
            time.sleep(0.05)
        yield time.monotonic() - began
    finally:
        for each in psutil.Process(process.pid).children(recursive=True):
            if each.cmdline()[1:] == ["/opt/chatbill/bin/chatbill", "serve"] and "python" in each.cmdline()[0]:
                assert each.uids().effective == 10001, "the service must not run as root"
                each.terminate()
        code = process.wait(STOPPED_WITHIN_S)
    if code != 0:
        sys.exit(f"SIGTERM must end the service with 0, but it ended with {code}")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def chat(port: int) -> str:
    """Register, send a message to the small model, and return the reply."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY_WITHIN_S) as client:
        person = {"username": "ann", "email": "ann@example.org", "password": PASSWORD}
        client.post("/auth/register", json=person).raise_for_status()
        tokens = client.post("/auth/login", json=person).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        question = "What is the capital of France? Answer in one sentence."
        answer = (
            client.post("/chat/message", json={"model": "demo-mini", "message": question}).raise_for_status().json()
        )
        return f"{answer['reply']} ({answer['credits_charged']} credits)"


def healthy(container: str, port: int) -> bool:
    """Return whether the health check of the image succeeds in the container."""
    check: dict[str, Any] = json.loads(buildah("inspect", container))["Docker"]["config"]["Healthcheck"]
    return succeeds("run", *HERE, "--env", f"CHATBILL_PORT={port}", container, "--", *check["Test"][1:])


def written_outside(tree: Path, since: float) -> list[str]:
    """Return the files outside the volume that are newer: there are none if the file system could be read-only."""
    command = [FIND, ".", "-newermt", f"@{since:.0f}", "-type", "f"]
    found = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True, timeout=120).stdout
    return [name for name in found.splitlines() if not name.startswith(OTHERS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flavour", choices=["slim", "cpu", "cuda"], default="slim")
    parser.add_argument("--base", help="an image with Python 3.11 to 3.13; default: the one of the Containerfile")
    arguments, options = parser.parse_known_args()
    image = build(arguments.flavour, arguments.base, options)
    port, engine = free_port(), "llama_cpp" if arguments.flavour == "slim" else "transformers"
    with container_of(image) as (container, tree):
        files = sum(file.lstat().st_size for file in tree.rglob("*") if file.is_file() and "/data/" not in str(file))
        say(f"size: {files / 1e6:,.0f} MB of files, {compressed_bytes(image) / 1e6:,.0f} MB to download")
        fetches = succeeds("run", *HERE, container, "--", "/opt/chatbill/bin/python", "-m", "pip", "--version")
        assert fetches, "the demo models are fetched by pip, so the image must have it"
        time.sleep(1)
        since = time.time()
        with running(container, port, engine) as first_s:
            say(f"ready after {first_s:.1f} s: {chat(port)}")
            assert healthy(container, port), "the health check must succeed while the service answers"
        assert not healthy(container, port), "the health check must fail when no service answers"
        with running(container, port, engine) as again_s:
            say(f"ready again after {again_s:.1f} s, with the same data")
        outside = written_outside(tree, since)
        assert outside == [], f"the service wrote outside of its volume: {outside[:10]}"
    say("the image runs as its user, on a file system that can be read-only")


if __name__ == "__main__":
    main()
