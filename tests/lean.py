"""Run by `nox -s lean` where Transformers is not installed: the demo is answered, other models say what to install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import platformdirs

READY_WITHIN_S = 300
STOPPED_WITHIN_S = 60
PASSWORD = "correct horse battery"
COMMAND = [sys.executable, "-I", "-m", "chatbill"]
QUESTION = "What is the capital of France? Answer in one sentence."


def environment(data: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHATBILL_")}
    return inherited | {"CHATBILL_DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}


def told(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(data), capture_output=True, text=True, check=False, timeout=120
    )


def check(*, holds: bool, what: str) -> None:
    if not holds:
        sys.exit(what)


def other_models_say_what_to_install(data: Path) -> None:
    served = told(data, "serve", "--models", "gemma", "--port", "0")
    check(
        holds=served.returncode == 1 and "chatbill[models]" in served.stderr and "Traceback" not in served.stderr,
        what=f"`serve --models gemma` must name the extra that it needs, but said: {served.stdout}{served.stderr}",
    )
    listed = told(data, "models", "check", "--no-run", "--json", "--models", "gemma")
    troubles = [json.loads(line)["trouble"] or "" for line in listed.stdout.splitlines()]
    check(
        holds=len(troubles) == 2 and all("chatbill[models]" in trouble for trouble in troubles),
        what=f"`models check` must name the extra, but said: {listed.stdout}{listed.stderr}",
    )


@contextmanager
def service(data: Path) -> Iterator[str]:
    """Yield the address of a service with its default settings."""
    running = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], env=environment(data), stdout=subprocess.PIPE, text=True
    )
    try:
        for line in running.stdout or ():
            if found := re.search(r"chatbill is ready: chat at (\S+)/ ", line):
                yield found[1]
                break
        else:
            sys.exit("the service ended before it was ready")
    finally:
        running.terminate()
        running.wait(STOPPED_WITHIN_S)


def both_models_answer(url: str) -> None:
    with httpx.Client(base_url=url, timeout=READY_WITHIN_S) as client:
        person = {"username": "ann", "email": "ann@example.org", "password": PASSWORD}
        client.post("/auth/register", json=person).raise_for_status()
        tokens = client.post("/auth/login", json=person).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        for model in ("demo-mini", "demo-pro"):
            answer = client.post("/chat/message", json={"model": model, "message": QUESTION}).raise_for_status()
            check(holds="Paris" in answer.text, what=f"{model} answered {answer.text}")


def main() -> None:
    check(holds=find_spec("torch") is None, what="torch is installed, so nothing would be shown here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir()
        # Downloads of earlier runs are used again; see tests/kit/models.py.
        models = Path(os.environ.get("CHATBILL_TEST_MODELS") or platformdirs.user_cache_path("chatbill") / "models")
        models.mkdir(parents=True, exist_ok=True)
        (data / "models").symlink_to(models, target_is_directory=True)
        other_models_say_what_to_install(data)
        with service(data) as url:
            both_models_answer(url)
        checked = told(data, "models", "check", "--json", "--no-run")
        engines = {json.loads(line)["engine"] for line in checked.stdout.splitlines()}
        check(holds=engines == {"llama_cpp"}, what=f"the demo must be run by llama.cpp: {checked.stdout}")
    sys.stdout.write("both demo models answer without Transformers\n")


if __name__ == "__main__":
    main()
