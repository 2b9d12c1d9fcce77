"""The commands in the documentation of the API, as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.service.process import Service

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_commands_of_the_api_page_do_what_it_says(service: Service) -> None:
    commands = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
    script = "set -euo pipefail\n" + commands.replace("http://localhost:8000", service.url)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)  # noqa: S607
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert '"balance":100' in said
    assert re.findall(r'"credits_charged":\d+,"balance":\d+', said)[:4] == [
        '"credits_charged":1,"balance":99',
        '"credits_charged":3,"balance":96',
        '"credits_charged":1,"balance":95',
        '"credits_charged":1,"balance":95',
    ]
    assert '{"balance":95,"held":0,"available":95}' in said
    assert '"credits_added":50,"balance":145' in said
    assert '"code":"invalid_request"' in said
