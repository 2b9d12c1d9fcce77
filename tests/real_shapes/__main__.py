"""The real shapes of Gemma 3 on this machine: `python -m tests.real_shapes [FOLDER]`; the folder keeps the checkpoints.

Needs about 39 GB of disk and, for the 12B, 16 GiB of free RAM or GPU memory. Weights are random, so the words are
noise; sizes, shards, quantization, memory and speed are those of the real models. Exit code 0: every promise was kept.
"""

from __future__ import annotations

# ruff: noqa: T201 - it prints its figures
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.real_shapes.checkpoints import PARAMETERS, make_checkpoint
from tests.real_shapes.memory import anonymous_bytes
from tests.service.process import Service

GIB = 2**30
MOST_BYTES = {"1b": 4 * GIB, "12b": 16 * GIB}
LEAK_BYTES = GIB // 4
"""What libraries keep for themselves after their first use; a second round may add nothing like it."""
LEFT_BYTES = 9 * GIB
"""RAM left free for the service that shall find the 12B too large."""
POLL_S = 0.05
CHILD_LIMIT_S = 1_800

CATALOGUE = """
[[models]]
id = "gemma-{size}"
name = "Gemma 3 {size}, noise"
tier = "{tier}"
price = {{ per_reply = {price} }}
context_tokens = 1024
max_reply_tokens = 64
weights = "{weights}"
sampling = {{ temperature = 0.0 }}
source = {{ kind = "folder", folder = "{folder}" }}
"""


def main() -> int:
    """Each promise in turn; the number of those that were broken."""
    with tempfile.TemporaryDirectory(prefix="chatbill-shapes-") as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        for size in PARAMETERS:
            if not (folder / size).exists():
                print(f"writing random weights in the shapes of the {size}", flush=True)
                make_checkpoint(size, folder / size)
        catalogue = folder / "catalogue.toml"
        catalogue.write_text(_catalogue(folder))
        checks: list[Callable[[], bool]] = [
            lambda: loads_generates_and_leaves("1b", catalogue),
            lambda: loads_generates_and_leaves("12b", catalogue),
            lambda: offers_the_small_one_alone(catalogue, Path(temporary) / "data"),
        ]
        return sum(not check() for check in checks)


def loads_generates_and_leaves(size: str, catalogue: Path) -> bool:
    """In a process of its own, twice, so that what the second round leaves behind is a leak."""
    command = [sys.executable, "-m", "tests.real_shapes.child", str(catalogue), f"gemma-{size}"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    started = time.monotonic()
    while child.poll() is None and time.monotonic() - started < CHILD_LIMIT_S:
        peak = max(peak, anonymous_bytes(child.pid))
        time.sleep(POLL_S)
    child.kill()
    output = child.communicate()[0].strip().splitlines()
    if child.returncode or not output:
        print(f"FAILED {size}: the process ended with {child.returncode}: {output}")
        return False
    seen: dict[str, Any] = json.loads(output[-1])
    leak = seen["left_bytes"][1] - seen["left_bytes"][0]
    kept = peak <= MOST_BYTES[size] and leak <= LEAK_BYTES and min(seen["tokens"]) > 0
    print(
        f"{'ok' if kept else 'FAILED'} {size}: peak {peak / GIB:.2f} GiB of RAM "
        f"(at most {MOST_BYTES[size] / GIB:.0f}), "
        f"foretold {seen['need_bytes'] / GIB:.2f}, GPU peak {seen['gpu_peak_bytes'] / GIB:.2f}; "
        f"loaded in {seen['load_s'][0]:.0f} s, then {seen['load_s'][1]:.0f} s; "
        f"{seen['tokens'][0]} tokens at {seen['tokens_per_s'][0]:.2f} a second; "
        f"left behind {leak / GIB:+.2f} GiB by the second round",
        flush=True,
    )
    return kept


def offers_the_small_one_alone(catalogue: Path, data: Path) -> bool:
    """With too little memory for the 12B the service starts, says why, and the 1B answers."""
    environment = {"CHATBILL_ENGINE": "transformers", "CHATBILL_MODELS": str(catalogue)}
    with ballast():
        service = Service(data, environment, ready_within_s=CHILD_LIMIT_S).start()
        try:
            models, status = asyncio.run(_ask(service))
        finally:
            service.stop()
    small, large = models
    kept = small["available"] and not large["available"] and "GB" in large["reason"] and status == 200
    print(f"{'ok' if kept else 'FAILED'} too little memory: the 1B answers {status}; the 12B says: {large['reason']}")
    return bool(kept)


async def _ask(service: Service) -> tuple[list[dict[str, Any]], int]:
    token = await service.person()
    async with service.client(token) as client:
        models = (await client.get("/chat/models")).raise_for_status().json()
        body = {"model": "gemma-1b", "message": "Hello", "max_tokens": 3}
        return models, (await client.post("/chat/message", json=body, timeout=CHILD_LIMIT_S)).status_code


@contextmanager
def ballast() -> Iterator[None]:
    """Hold so much RAM that only `LEFT_BYTES` are free."""
    size = max(0, psutil.virtual_memory().available - LEFT_BYTES)
    code = f"import sys; held = b'1' * {size}; print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.kill()
        holder.wait()


def _catalogue(folder: Path) -> str:
    return "".join(
        CATALOGUE.format(size=size, tier=tier, price=price, weights=weights, folder=folder.resolve() / size)
        for size, tier, price, weights in (("1b", "mini", 1, "bf16"), ("12b", "pro", 3, "int8"))
    )


if __name__ == "__main__":
    sys.exit(main())
