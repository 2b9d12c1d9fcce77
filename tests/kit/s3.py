"""A server that speaks S3, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

PYTHON = os.environ.get("CHATBILL_TEST_CLIENTS")
BUCKET = "backups"
START_S = 60.0


@contextmanager
def s3_variables() -> Iterator[dict[str, str]]:
    """Start a server with an empty bucket, and yield the variables that lead to it."""
    if PYTHON is None:
        pytest.skip("OBJECT STORES ARE NOT TESTED HERE: the server has an environment of its own: nox -s clients")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [PYTHON, "-P", "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while True:
            try:
                httpx.put(f"{endpoint}/{BUCKET}", timeout=START_S).raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None, "Moto does not start in this environment; run nox -s clients without -R"
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
