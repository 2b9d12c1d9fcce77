"""Hypothesis profiles and the order of the test files. On CI each run has the same examples, so a failure repeats."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, max_examples=100)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=100,
    derandomize=True,
    print_blob=True,
    # A shared machine may draw examples slowly; that is no fault of a test.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "local")

FOLDER = Path(__file__).parent
LONGEST = (
    "adapters/inference/transformers/test_gemma.py",
    "browser/test_page.py",
    "service/test_burst.py",
    "test_state_machine.py",
    "adapters/inference/transformers/test_batching.py",
    "service/test_chained.py",
    "adapters/inference/transformers/test_transformers_model.py",
    "service/test_commands.py",
    "browser/test_keys.py",
    "browser/test_service.py",
    "service/test_readiness.py",
    "service/test_keys.py",
    "adapters/inference/openai/test_real_server.py",
    "service/test_postgres.py",
    "service/test_crashes.py",
)
"""The files that take half a minute or more. Models, which compute, alternate with services, which mostly wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker is left with one of them when the others have finished."""
    places = {FOLDER / name: place for place, name in enumerate(LONGEST)}
    if gone := [path for path in places if not path.exists()]:
        raise pytest.UsageError(f"LONGEST in tests/conftest.py names files that do not exist: {gone}")
    items.sort(key=lambda item: places.get(item.path, len(places)))
