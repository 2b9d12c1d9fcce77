"""Time from a fresh clone to the first answered chat, by a README's run command, for two revisions.

`python -m benchmarks.first_chat [BEFORE] [AFTER]`: revisions of this repository, by default `main` and `HEAD`. Each
round makes a clone, an environment and an empty data folder for each revision in turn, installs `.[server]`, serves,
registers a person and waits for a reply of each demo model. pip's cache is the same for both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
QUESTION = "What is the capital of France? Answer in one sentence."
PASSWORD = "correct horse battery"  # noqa: S105 - of a benchmark
READY_WITHIN_S = 900


def run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def call(url: str, body: dict[str, str], token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=READY_WITHIN_S) as answer:
        return json.load(answer)


def chatted(python: Path, clone: Path, data: Path) -> tuple[float, float]:
    """Serve, and return when each demo model had answered."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CHATBILL_", "PYTHONPATH"))}
    environment = inherited | {"CHATBILL_DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}
    command = [str(python), "-m", "chatbill", "serve", "--port", "0"]
    service = subprocess.Popen(
        command, cwd=clone, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert service.stdout
    try:
        url = next(found[1] for line in service.stdout if (found := re.search(r"ready: chat at (\S+)/ ", line)))
        person = {"username": "ann", "email": "ann@example.org", "password": PASSWORD}
        call(f"{url}/auth/register", person)
        token = call(f"{url}/auth/login", person)["access_token"]
        ends = []
        for model in ("demo-mini", "demo-pro"):
            assert "Paris" in call(f"{url}/chat/message", {"model": model, "message": QUESTION}, token)["reply"]
            ends.append(time.perf_counter())
        return ends[0], ends[1]
    finally:
        service.terminate()
        service.wait(60)


def first_chat(revision: str) -> dict[str, float]:
    """Return the seconds of each step, and the size of the environment in MB."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone, environment = Path(folder) / "clone", Path(folder) / "venv"
        begun = time.perf_counter()
        run("git", "clone", "-q", "--shared", str(ROOT), str(clone), cwd=ROOT)
        run("git", "checkout", "-q", revision, cwd=clone)
        run(sys.executable, "-m", "venv", str(environment), cwd=clone)
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        run(str(python), "-m", "pip", "install", "-c", "constraints.txt", ".[server]", cwd=clone)
        installed = time.perf_counter()
        first, both = chatted(python, clone, Path(folder) / "data")
        size = sum(path.lstat().st_size for path in environment.rglob("*"))
        return {
            "installed": installed - begun,
            "first chat": first - begun,
            "both models": both - begun,
            "environment, MB": size / 1e6,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", nargs="?", default="main")
    parser.add_argument("after", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print(platform.platform(), os.cpu_count(), "cores")
    rounds = [(first_chat(arguments.before), first_chat(arguments.after)) for _ in range(arguments.rounds)]
    for step in rounds[0][0]:
        before, after = (statistics.median(pair[side][step] for pair in rounds) for side in (0, 1))
        print(f"{step:16} {before:8.1f} {after:8.1f}  ratio {after / before:.2f}")


if __name__ == "__main__":
    main()
