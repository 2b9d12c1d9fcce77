"""What the container makes of the settings of a service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chatbill.container import Container
from chatbill.settings import Settings


@pytest.mark.parametrize(
    ("payments", "models", "sells"),
    [("none", "demo", False), ("auto", "gemma", False), ("auto", "demo", True), ("sandbox", "gemma", True)],
)
def test_a_service_has_a_payment_provider_only_where_its_settings_name_one(
    tmp_path: Path, payments: str, models: str, *, sells: bool
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "payments": payments, "models": models})
    assert (Container(settings=settings).payments() is not None) is sells


def test_the_container_hides_web_frameworks_only_while_it_is_imported() -> None:
    code = """
import sys
import chatbill.container
assert not {"fastapi", "starlette"} & {name.partition(".")[0] for name in sys.modules}
from fastapi.params import Depends
from starlette.requests import Request
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_container_leaves_a_framework_that_is_already_there() -> None:
    code = """
import sys
import fastapi
import chatbill.container
assert sys.modules["fastapi"] is fastapi and sys.modules["starlette"]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
