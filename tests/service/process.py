"""Runs `chatbill serve` in a process, and gives tests clients for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from tests.kit.forking import Process, run, start

READY_WITHIN_S = 60
STOPPED_WITHIN_S = 30


@dataclass
class Service:
    """A service on a data folder. It can be stopped, killed and started again."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    mode: str = "api"
    options: tuple[str, ...] = ()
    ready_within_s: float = READY_WITHIN_S
    port: int = 0
    process: Process | None = None
    url: str = ""
    output: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    def start(self) -> Self:
        """Start it on its port, or on a free one, and wait until it is ready."""
        place = ("--port", str(self.port), "--mode", self.mode, *self.options)
        self.process = start("chatbill", "serve", *place, environment=self.variables())
        ready = threading.Event()
        self.listener = threading.Thread(target=self._listen, args=(self.process, ready), daemon=True)
        self.listener.start()
        assert ready.wait(self.ready_within_s), "".join(self.output)
        assert self.url, "".join(self.output)
        return self

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another command on the same data folder."""
        return run("chatbill", *arguments, environment=self.variables(), stdin=stdin)

    def variables(self) -> dict[str, str]:
        """Return the environment of the service, with no variables of chatbill except those of the test."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHATBILL_")}
        defaults = {
            "CHATBILL_ENGINE": "scripted",
            "CHATBILL_DATA_DIR": str(self.data_dir),
            # Tests that share a service register many users from one address.
            "CHATBILL_REGISTRATIONS_PER_HOUR": "0",
            "CHATBILL_REGISTRATIONS_IN_ALL_PER_HOUR": "0",
            # No balancer has to learn that it stops.
            "CHATBILL_DRAIN_S": "0",
            "PYTHONUNBUFFERED": "1",
        }
        return inherited | defaults | self.environment

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._end(signal.SIGKILL)

    def client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        """Return a client with this token, if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Limits(max_connections=200)
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, limits=limits, **options)

    async def person(self, name: str = "alice") -> str:
        """Register a user, and return an access token."""
        body = {"username": name, "email": f"{name}@example.org", "password": "correct horse battery"}
        async with self.client() as client:
            (await client.post("/auth/register", json=body)).raise_for_status()
            signed_in = (await client.post("/auth/login", json=body)).raise_for_status()
            return str(signed_in.json()["access_token"])

    def verify(self) -> dict[str, Any]:
        """Return the verdict of `chatbill ledger verify --json`; fails unless the books agree."""
        done = self.run("ledger", "verify", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return verdict

    def _end(self, how: signal.Signals) -> int:
        assert self.process
        assert self.listener
        self.process.send_signal(how)
        code = self.process.wait(STOPPED_WITHIN_S)
        self.listener.join(STOPPED_WITHIN_S)
        self.url = ""
        return code

    def _listen(self, process: Process, ready: threading.Event) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if found := re.search(r"chatbill is ready: .*?(http://[^/\s]+)", line):
                    self.url = found[1]
                    ready.set()
        ready.set()


def events(lines: Iterator[str] | list[str]) -> list[tuple[str, Any]]:
    """Return the name and the JSON data of each server-sent event."""
    found, name = [], ""
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            found.append((name, json.loads(line.removeprefix("data:"))))
    return found
