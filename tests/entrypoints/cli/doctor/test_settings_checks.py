"""Settings with which something is unsafe are found, and others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatbill.entrypoints.cli.doctor import settings_checks as checks
from chatbill.entrypoints.cli.doctor.findings import Check
from tests.entrypoints.cli.doctor.scene import around, levels

DRAWN = "kf83hGd72Kq0ZmX1vB5nWc9LrT4yPs6J"
ERROR, WARNING = ["error"], ["warning"]


@pytest.mark.parametrize(
    ("check", "values", "expected"),
    [
        (checks.payments, {"payments": "sandbox", "models": "gemma"}, ERROR),
        (checks.payments, {"models": "gemma"}, []),
        (checks.payments, {"payments": "sandbox", "models": "demo"}, []),
        (checks.encryption, {"url": "http://chat.example.org"}, ERROR),
        (checks.encryption, {"url": "https://chat.example.org"}, []),
        (checks.encryption, {"url": "http://localhost:8000"}, []),
        (checks.encryption, {"url": None}, []),
        (checks.encryption, {"host": "0.0.0.0"}, WARNING),  # noqa: S104
        (checks.encryption, {"host": "0.0.0.0", "trusted_proxies": "10.0.0.0/8"}, []),  # noqa: S104
        (checks.secrets, {"secret_key": "a" * 40}, ERROR),
        (checks.secrets, {"secret_key": "please-change-me-0123456789abcdefgh"}, ERROR),
        (checks.secrets, {"secret_key": DRAWN, "metrics_token": "0" * 16}, ERROR),
        (checks.secrets, {"secret_key": DRAWN}, []),
        (checks.secrets, {}, []),
        (checks.processes, {"run_jobs": False}, WARNING),
        (checks.processes, {"run_jobs": True}, []),
        (checks.processes, {"run_jobs": False, "database_url": "postgresql://host/name"}, []),
    ],
)
async def test_a_setting_is_judged(check: Check, values: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    assert await levels(check, around(tmp_path, **values)) == expected
