"""The commands in the documentation of the API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.service.process import Service

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_commands_of_the_api_page_work(service: Service) -> None:
    commands = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
    script = "set -euo pipefail\n" + commands.replace("http://localhost:8000", service.url)
    # The client of the examples is the one of the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert '"balance":100' in output
    assert re.findall(r'"credits_charged":\d+,"balance":\d+', output)[:4] == [
        '"credits_charged":1,"balance":99',
        '"credits_charged":3,"balance":96',
        '"credits_charged":1,"balance":95',
        '"credits_charged":1,"balance":95',
    ]
    assert '{"balance":95,"held":0,"available":95}' in output
    assert '"credits_added":50,"balance":145' in output
    assert "What is the capital of France?\nit cost 1 and leaves 144" in output
    assert '"code":"invalid_request"' in output
