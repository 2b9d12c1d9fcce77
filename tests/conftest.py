"""What all tests share: Hypothesis profiles, the order of the test files, and what is cleared away when.

On CI each run has the same examples, so a failure repeats.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.kit.clearing import Undo, cleared_after, folder_of_process
from tests.kit.forking import SERVER

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
    "deploy/test_two_processes.py",
)
"""The files that take half a minute or more. Models, which compute, alternate with services, which mostly wait."""

CLEAR = pytest.StashKey[Undo]()
CLEARING_UP = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for everything temporary, which is deleted at its end with what killed processes left.

    Pytest's own folders, in which failed tests left what they wrote, stay where they are.
    """
    SERVER.enabled = True
    if hasattr(config, "workerinput"):
        return
    # Not before the end of the process: servers end after the tests.
    folder, config.stash[CLEARING_UP] = folder_of_process("chatbill-run-")
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker is left with one of them when the others have finished."""
    places = {FOLDER / name: place for place, name in enumerate(LONGEST)}
    if gone := [path for path in places if not path.exists()]:
        raise pytest.UsageError(f"LONGEST in tests/conftest.py names files that do not exist: {gone}")
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note what a test makes."""
    with cleared_after(partial(item.stash.__setitem__, CLEAR)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Clear away what a test made when all its fixtures are over."""
    try:
        return (yield)
    finally:
        item.stash[CLEAR]()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Keep what a fixture makes that tests share for as long as the fixture."""
    if fixturedef.scope == "function":
        return (yield)
    with cleared_after(fixturedef.addfinalizer):
        return (yield)
