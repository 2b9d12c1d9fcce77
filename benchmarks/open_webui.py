"""Run Open WebUI on an empty folder, as the page that `benchmarks.page_load` compares ours with.

`pip install open-webui` in an environment of its own gives the program `open-webui`. It runs without a network: its
models come from a service with an API like OpenAI's, and it looks for neither updates nor models to download.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

START_WITHIN_S = 600
SETTINGS = {
    "WEBUI_AUTH": "true",
    "ENABLE_OLLAMA_API": "false",
    "OFFLINE_MODE": "true",
    # Its own embedding model is on a hub, and no page needs it.
    "RAG_EMBEDDING_ENGINE": "openai",
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "1",
}


@dataclass(frozen=True)
class OpenWebUI:
    """A running Open WebUI, and the token of its first user."""

    address: str
    token: str
    version: str


@contextmanager
def serving_open_webui(program: Path, *, upstream: str, key: str) -> Iterator[OpenWebUI]:
    """Run the program with the models of an address that `key` opens, and register its first user."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CHATBILL_"))},
            **SETTINGS,
            "DATA_DIR": str(Path(folder) / "data"),
            "WEBUI_SECRET_KEY": secrets.token_hex(32),
            "OPENAI_API_BASE_URL": upstream,
            "OPENAI_API_KEY": key,
        }
        command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log) as process,
        ):
            try:
                yield _registered(process, f"http://127.0.0.1:{port}", Path(log.name))
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()


def _registered(process: subprocess.Popen[bytes], address: str, log: Path) -> OpenWebUI:
    """Wait until it answers, and register a user that has closed the news of the release."""
    with httpx.Client(base_url=address, timeout=60) as client:
        deadline = time.monotonic() + START_WITHIN_S
        while not _answers(client):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"Open WebUI did not start. The end of its log:\n{log.read_text(errors='replace')[-2_000:]}"
                raise SystemExit(message)
            time.sleep(0.5)
        person = {"name": "Loader", "email": "loader@example.org", "password": secrets.token_hex(16)}
        registered = client.post("/api/v1/auths/signup", json=person).raise_for_status()
        token = str(registered.json()["token"])
        client.headers["Authorization"] = f"Bearer {token}"
        settings = {"ui": {"showChangelog": False}}
        client.post("/api/v1/users/user/settings/update", json=settings).raise_for_status()
        assert client.get("/api/models").raise_for_status().json()["data"], "Open WebUI found no model"
        return OpenWebUI(address, token, str(client.get("/api/config").json()["version"]))


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False
