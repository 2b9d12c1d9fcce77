"""A server that speaks S3, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import httpx
import pytest

BUCKET = "backups"
START_S = 60.0


@contextmanager
def s3_variables() -> Iterator[dict[str, str]]:
    """Start a server with an empty bucket, and yield the variables that lead to it."""
    if find_spec("moto") is None:
        pytest.skip("OBJECT STORES ARE NOT TESTED HERE: moto is missing; pip install 'moto[server]'")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [sys.executable, "-P", "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while True:
            try:
                httpx.put(f"{endpoint}/{BUCKET}", timeout=START_S).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }
    finally:
        process.kill()
        process.wait()
