"""The whole path of a charged message, beside a gateway that charges nobody: same machine, same load, in turns.

    python benchmarks/gateway.py [--rounds 8] [--seconds 3] [--before REVISION]

chatbill answers `POST /chat/message` with durable billing on SQLite; LiteLLM's proxy answers `POST
/v1/chat/completions` without any database. Both ask the same upstream, which answers at once, and each has one process.
`wrk` (Debian's package) drives them with one connection and with sixteen, one after the other, round by round; what is
compared are the medians. LiteLLM is installed into an environment of its own in `.nox/litellm`. With `--before`,
chatbill as it was at a revision takes its place.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LITELLM = ROOT / ".nox" / "litellm"
LITELLM_VERSION = "1.109.1"
# Releases of a few days ago may not be on every index yet; any version of these does for a proxy without a database.
ANY_VERSION = ("certifi", "litellm-proxy-extras", "litellm-enterprise")
CONNECTIONS = (1, 16)
START_WITHIN_S = 120

UPSTREAM = '''
import json

BODY = b"""{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":
{"role":"assistant","content":"hello there"},"finish_reason":"stop"}],
"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}}"""

STREAM = b"""data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":
{"role":"assistant","content":"hello there"},"finish_reason":null}]}

data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},
"finish_reason":"stop"}]}

data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],
"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}}

data: [DONE]

""".replace(b",\\n", b",").replace(b":\\n", b":")

async def app(scope, receive, send):
    asked, more = b"", True
    while more:
        message = await receive()
        asked, more = asked + message.get("body", b""), message.get("more_body")
    streams = asked and json.loads(asked).get("stream")
    kind, body = (b"text/event-stream", STREAM) if streams else (b"application/json", BODY)
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
'''


class Target(NamedTuple):
    """Where `wrk` sends what."""

    name: str
    url: str
    body: Mapping[str, object]
    token: str = ""


class Run(NamedTuple):
    """What one run of `wrk` saw."""

    requests_per_s: float
    latency_ms_p50: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--before", metavar="REVISION")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("This benchmark needs wrk; on Debian: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        upstream = running.enter_context(serving_upstream(folder))
        base = upstream.url.removesuffix("/chat/completions")
        other = serving_chatbill(folder, base, chosen.before) if chosen.before else serving_litellm(folder, base)
        targets = (upstream, running.enter_context(other), running.enter_context(serving_chatbill(folder, base)))
        runs = measure(targets, folder, rounds=chosen.rounds, seconds=chosen.seconds)
        prove_the_books(folder)
    report(runs, targets[1].name, rounds=chosen.rounds)


def measure(
    targets: tuple[Target, ...], folder: Path, *, rounds: int, seconds: int
) -> dict[tuple[str, int], list[Run]]:
    """Every target in turn, round by round, so that a slow spell of the machine meets all of them."""
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for target in targets:
        drive(target, folder, connections=1, seconds=1)
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for target in targets:
                runs[target.name, connections].append(drive(target, folder, connections=connections, seconds=seconds))
    return runs


def drive(target: Target, folder: Path, *, connections: int, seconds: int) -> Run:
    script = folder / f"{target.name}.lua"
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {target.token}"} if target.token else {}
    )
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    script.write_text("\n".join(['wrk.method = "POST"', f"wrk.body = [[{json.dumps(target.body)}]]", *lines]))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), target.url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    assert "Non-2xx" not in said, f"{target.name} refused requests:\n{said}"
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    middle = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    assert rate
    assert middle
    return Run(float(rate[1]), float(middle[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[middle[2]])


@contextmanager
def serving_upstream(folder: Path) -> Iterator[Target]:
    (folder / "upstream.py").write_text(UPSTREAM)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "--port", str(port), "--lifespan", "off"]
    with process([*command, "--log-level", "error", "--no-access-log", "upstream:app"], f"http://127.0.0.1:{port}/"):
        yield Target("instant upstream", f"http://127.0.0.1:{port}/v1/chat/completions", {"model": "m"})


@contextmanager
def serving_litellm(folder: Path, upstream: str) -> Iterator[Target]:
    config, port, key = folder / "litellm.yaml", free_port(), f"sk-{secrets.token_hex(24)}"
    parameters = {"model": "openai/m", "api_base": upstream, "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": parameters}]}))
    environment = {"LITELLM_MASTER_KEY": key, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(litellm()), "--config", str(config), "--port", str(port), "--num_workers", "1"]
    with process([*command, "--telemetry", "False"], f"http://127.0.0.1:{port}/health/liveliness", environment):
        body = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
        yield Target("litellm proxy", f"http://127.0.0.1:{port}/v1/chat/completions", body, key)


def litellm() -> Path:
    """The proxy's program, installed on first use."""
    program = LITELLM / "bin" / "litellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(LITELLM)], check=True)
        python = LITELLM / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "uv"], check=True)
        overrides = LITELLM / "overrides.txt"
        overrides.write_text("\n".join(ANY_VERSION))
        install = [str(LITELLM / "bin" / "uv"), "pip", "install", "-q", "--python", str(python)]
        install += ["--override", str(overrides)]
        subprocess.run([*install, f"litellm[proxy]=={LITELLM_VERSION}"], check=True)
    return program


@contextmanager
def serving_chatbill(folder: Path, upstream: str, revision: str = "") -> Iterator[Target]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    name = f"chatbill {revision}".strip()
    environment = chatbill_environment(folder) | {"CHATBILL_ENGINE_URL": upstream}
    if revision:
        old = folder / "old"
        old.mkdir()
        archive = ("git", "archive", "--output", str(folder / "old.tar"), revision, "src", "migrations")
        subprocess.run(archive, cwd=ROOT, check=True)
        shutil.unpack_archive(folder / "old.tar", old)
        environment |= {"PYTHONPATH": str(old / "src"), "CHATBILL_DATA_DIR": str(old / "data")}
    command = [sys.executable, "-m", "chatbill", "serve", "--mode", "api", "--port", str(port)]
    with process(command, f"{base}/health/ready", environment):
        person = {"username": "bench", "email": "bench@example.org", "password": secrets.token_hex(16)}
        post(f"{base}/auth/register", person)
        token = post(f"{base}/auth/login", person)["access_token"]
        yield Target(name, f"{base}/chat/message", {"model": "demo-mini", "message": "hello there"}, str(token))


def chatbill_environment(folder: Path) -> dict[str, str]:
    return {
        "CHATBILL_DATA_DIR": str(folder / "chatbill"),
        "CHATBILL_CACHE_BYTES": "0",
        "CHATBILL_ENGINE": "openai",
        "CHATBILL_LOG_LEVEL": "WARNING",
        "CHATBILL_MESSAGES_PER_MINUTE": "0",
        # The load generator hangs up at the end of each round.
        "CHATBILL_UNPAID_REPLIES_PER_HOUR": "0",
        "CHATBILL_WELCOME_CREDITS": "1000000000",
    }


def prove_the_books(folder: Path) -> None:
    """Speed that loses money is not speed."""
    command = [sys.executable, "-m", "chatbill", "ledger", "verify"]
    said = subprocess.run(
        command,
        env=os.environ | chatbill_environment(folder) | {"CHATBILL_ENGINE_URL": "http://nobody"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout
    print(said.splitlines()[0], "The ledger is consistent.")


@contextmanager
def process(command: list[str], alive: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    with subprocess.Popen(
        command, env=os.environ | (environment or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as started:
        try:
            wait_for(alive, started)
            yield
        finally:
            started.terminate()
            started.wait(60)


def wait_for(url: str, started: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        assert started.poll() is None, f"the server of {url} stopped"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as answer:
            if answer.code != 503:  # not ready yet
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} did not answer within {START_WITHIN_S} s")


def post(url: str, body: dict[str, str]) -> dict[str, object]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        read: dict[str, object] = json.load(answer)
        return read


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def report(runs: dict[tuple[str, int], list[Run]], beside: str, *, rounds: int) -> None:
    print(f"\n{os.cpu_count()} cores, Python {sys.version.split()[0]}; medians of {rounds} rounds\n")
    print("| connections | | requests/s | median latency, ms |\n|---|---|---|---|")
    for (name, connections), seen in runs.items():
        rate, latency = medians(seen)
        print(f"| {connections} | {name} | {rate:,.0f} | {latency:.2f} |")
    for connections in CONNECTIONS:
        ours, theirs = runs["chatbill", connections], runs[beside, connections]
        upstream = medians(runs["instant upstream", connections])[1]
        faster = statistics.median(a.requests_per_s / b.requests_per_s for a, b in zip(ours, theirs, strict=True))
        added = statistics.median(
            (a.latency_ms_p50 - upstream) / (b.latency_ms_p50 - upstream) for a, b in zip(ours, theirs, strict=True)
        )
        print(f"\n{connections} connections: {faster:.2f} times its requests/s, {added:.2f} of its added latency")


def medians(seen: list[Run]) -> tuple[float, float]:
    return statistics.median(run.requests_per_s for run in seen), statistics.median(run.latency_ms_p50 for run in seen)


if __name__ == "__main__":
    main()
