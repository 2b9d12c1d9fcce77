"""How whole charged messages scale over processes: PostgreSQL, Valkey, nginx, and the scripted engine.

    python -m benchmarks.scale [--rounds 3] [--seconds 5] [--processes 1,2,4] [--streams 1000] [--soak MINUTES]

`wrk` (Debian's package) sends messages of 100 people over 32 connections to nginx, which hands them to 1, 2 and 4
services in turns. For each, it prints requests/s, latency, and the processor time that a message takes in each program.
Then it holds idle event connections of the page open, and prints their memory and processor time. The server of
PostgreSQL syncs every commit. With `--soak`, it only sends messages, and prints the memory of each process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import valkey as valkey_client

from benchmarks.charges import machine
from tests.kit import nginx, postgres, valkey

PEOPLE, CONNECTIONS = 100, 32
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that live for minutes
START_WITHIN_S = 120
STREAMS_OF_PERSON = 10
IDLE_S = 15.0
MIB = 2**20
LUA = """
local tokens, at = {TOKENS}, 0
wrk.method = "POST"
wrk.body = [[BODY]]
function request()
  at = at % #tokens + 1
  wrk.headers["Authorization"] = "Bearer " .. tokens[at]
  return wrk.format()
end
local refused = 0
function response(status, headers, body)
  if status ~= 200 and refused < 3 then
    refused = refused + 1
    io.write(string.format("REFUSED with %d: %s\\n", status, body))
  end
end
function done(summary, latency)
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.errors.status))
end
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True)
class Run:
    """What one run saw: messages a second, latency in ms, and ms of processor time for a message by program."""

    per_s: float
    p50: float
    p99: float
    cpu_ms: dict[str, float]
    refused: int
    refusals: list[str]


@dataclass
class Bench:
    """The servers under test, and the tokens of the people."""

    folder: Path
    url: str
    database: postgres.Server
    shared: valkey.Server
    urls: list[str] = field(default_factory=list)
    services: list[psutil.Process] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)

    def programs(self) -> dict[str, list[psutil.Process]]:
        """Return the processes of each program."""
        database = psutil.Process(self.database.handle.get_pid())
        assert self.shared.process
        balancers = [each for each in psutil.Process().children(recursive=True) if each.name() == "nginx"]
        return {
            "chatbill": self.services,
            "postgresql": [database, *database.children()],
            "valkey": [psutil.Process(self.shared.process.pid)],
            "nginx": balancers,
        }

    def sizes(self) -> tuple[int, int, int]:
        """Return the bytes of the database, its messages, and the bytes that Valkey uses."""
        name = urlsplit(self.url).path[1:]
        ((size, messages),) = self.database.run(
            "SELECT pg_database_size(current_database()), (SELECT count(*) FROM interactions)", name
        )
        with valkey_client.Valkey.from_url(self.shared.url) as client:
            return int(size), int(messages), int(client.info("memory")["used_memory"])


def cpu_s(processes: list[psutil.Process]) -> float:
    total = 0.0
    for each in processes:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


@contextmanager
def serving(bench: Bench, name: str) -> Iterator[None]:
    environment = {
        **os.environ,
        "CHATBILL_DATA_DIR": str(bench.folder / name),
        "CHATBILL_DATABASE_URL": bench.url,
        "CHATBILL_SHARED_URL": bench.shared.url,
        "CHATBILL_SECRET_KEY": "k" * 40,
        "CHATBILL_ENGINE": "scripted",
        "CHATBILL_PAYMENTS": "none",
        "CHATBILL_WELCOME_CREDITS": "10000000",
        "CHATBILL_MESSAGES_PER_MINUTE": "100000",
        "CHATBILL_REGISTRATIONS_PER_HOUR": "0",
        "CHATBILL_MAX_CONNECTIONS": "4000",
        "CHATBILL_CONNECTIONS_PER_ADDRESS": "4000",
        "CHATBILL_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "chatbill", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        deadline = time.monotonic() + START_WITHIN_S
        while not (found := re.search(r"chatbill is ready: .*?(http://[^/\s]+)", process.stdout.readline())):
            assert time.monotonic() < deadline, "the service does not start"
        bench.urls.append(found[1].replace("localhost", "127.0.0.1"))
        bench.services.append(psutil.Process(process.pid))
        yield
    finally:
        process.terminate()
        process.wait(60)


def register(bench: Bench) -> None:
    with httpx.Client(base_url=bench.urls[0], timeout=60, headers={"Origin": bench.urls[0]}) as client:
        for number in range(PEOPLE):
            fields = {"username": f"person{number}", "email": f"p{number}@example.org", "password": PASSWORD}
            client.cookies.clear()
            client.post("/web/registration", json=fields).raise_for_status()
            bench.cookies.append(client.cookies["chatbill_session"])
            client.cookies.clear()
            signed_in = client.post("/auth/login", json=fields).raise_for_status()
            bench.tokens.append(signed_in.json()["access_token"])


def drive(bench: Bench, url: str, seconds: int) -> Run:
    """Send messages to this address, and measure."""
    script = bench.folder / "messages.lua"
    body = json.dumps({"model": "demo-mini", "message": "What is the capital of France?"})
    tokens = "{" + ",".join(f'"{token}"' for token in bench.tokens) + "}"
    script.write_text(LUA.replace("{TOKENS}", tokens).replace("BODY", body))
    programs = bench.programs()
    before = {name: cpu_s(processes) for name, processes in programs.items()}
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(script)]
    said = subprocess.run([*command, f"{url}/chat/message"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", said)
    assert found, said
    refusals = re.findall(r"REFUSED .*", said)
    per_s = float(found[1])
    used = {name: (cpu_s(processes) - before[name]) * 1_000 / (per_s * seconds) for name, processes in programs.items()}
    return Run(per_s, float(found[2]), float(found[3]), used, int(found[4]), refusals)


def compare(bench: Bench, counts: list[int], rounds: int, seconds: int) -> None:
    runs: dict[int, list[Run]] = defaultdict(list)
    for number in range(rounds + 1):
        for count in counts:
            with nginx.balancer(bench.folder, bench.urls[:count]) as url:
                run = drive(bench, url, seconds if number else 2)
                assert not run.refused, f"{run.refused} messages were refused: {run.refusals}"
            if number:  # the first round warms up
                runs[count].append(run)
    print("| processes | messages/s | for a process | p50 ms | p99 ms | ms of a core for a message |")
    print("|---|---|---|---|---|---|")
    for count, seen in runs.items():
        per_s, p50, p99 = (statistics.median(getattr(run, name) for run in seen) for name in ("per_s", "p50", "p99"))
        used = {name: statistics.median(run.cpu_ms[name] for run in seen) for name in seen[0].cpu_ms}
        parts = ", ".join(f"{name} {value:.2f}" for name, value in used.items())
        each = f"{per_s:.0f} | {per_s / count:.0f} | {p50:.0f} | {p99:.0f}"
        print(f"| {count} | {each} | {sum(used.values()):.2f}: {parts} |")


async def hold_streams(bench: Bench, count: int) -> None:
    """Open event connections at the first process, and print what they take while nothing happens."""
    service, address = bench.services[0], httpx.URL(bench.urls[0])
    before = service.memory_info().rss
    writers = []
    for number in range(count):
        cookie = bench.cookies[number // STREAMS_OF_PERSON % PEOPLE]
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f"GET /web/events HTTP/1.1\r\nHost: {address.host}\r\nCookie: chatbill_session={cookie}\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        assert b" 200 " in status, status
        writers.append(writer)
    await asyncio.sleep(3)
    used, started = cpu_s([service]), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    cores = (cpu_s([service]) - used) / (time.perf_counter() - started)
    each = (service.memory_info().rss - before) / count / 1_024
    print(f"{count} idle event connections: {each:.0f} KiB each, {cores * 100:.1f} % of a core for all")
    for writer in writers:
        writer.close()


def soak(bench: Bench, minutes: float) -> None:
    """Send messages, and print the memory of the processes each minute."""
    until, sent = time.monotonic() + minutes * 60, 0.0
    with nginx.balancer(bench.folder, bench.urls) as url:
        while time.monotonic() < until:
            seconds = max(1, min(60, round(until - time.monotonic())))
            run = drive(bench, url, seconds)
            sent += run.per_s * seconds
            for words in run.refusals:
                print(f"{run.refused} messages: {words}", flush=True)
            sizes = "  ".join(f"{each.memory_info().rss / MIB:.1f}" for each in bench.services)
            print(f"{sent:.0f} messages, MiB of each process: {sizes}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--soak", type=float, metavar="MINUTES")
    chosen = parser.parse_args()
    counts = [int(count) for count in chosen.processes.split(",")]
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        database = postgres.start(durable=True)
        running.callback(postgres.stop, database)
        shared = valkey.start()
        running.callback(shared.kill)
        bench = Bench(Path(name), database.empty(), database, shared)
        for number in range(max(counts)):
            running.enter_context(serving(bench, f"service-{number}"))
        register(bench)
        before = bench.sizes()
        print(machine(), flush=True)
        if chosen.soak:
            soak(bench, chosen.soak)
        else:
            if chosen.rounds:
                compare(bench, counts, chosen.rounds, chosen.seconds)
                size, messages, used = (new - old for new, old in zip(bench.sizes(), before, strict=True))
                print(f"{size / messages:.0f} bytes of the database for a message; {messages} messages")
                print(f"{used / PEOPLE / 1_024:.1f} KiB of Valkey for each of {PEOPLE} people", flush=True)
            asyncio.run(hold_streams(bench, chosen.streams))
        environment = {**os.environ, "CHATBILL_DATABASE_URL": bench.url, "CHATBILL_DATA_DIR": name}
        subprocess.run([sys.executable, "-m", "chatbill", "ledger", "verify"], env=environment, check=True)


if __name__ == "__main__":
    main()
