"""What the container makes of the settings of a service."""

from __future__ import annotations

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
