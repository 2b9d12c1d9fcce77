"""Two services on one SQLite folder, and the folder's permissions."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.process import Service


@pytest.mark.slow
def test_a_second_service_on_the_same_folder_is_refused_and_the_process_of_the_first_is_named(
    start: Callable[..., Service],
) -> None:
    first = start()
    assert first.process
    second = first.run("serve", "--port", "0", "--mode", "api")
    assert second.returncode == 1
    assert f"Process {first.process.pid} serves " in second.stderr
    assert "Traceback" not in second.stderr
    for command in (("ledger", "verify"), ("db", "backup", str(first.data_dir / "copy")), ("db", "upgrade")):
        done = first.run(*command)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_service_that_was_killed_leaves_nothing_locked(start: Callable[..., Service]) -> None:
    killed = start()
    killed.kill()
    again = start()
    assert again.stop() == 0
    assert start().stop() == 0


@pytest.mark.parametrize("command", [("db", "upgrade"), ("models", "pull", "demo-mini")])
def test_a_command_makes_the_data_folder_for_its_owner_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    operator = Service(tmp_path / "data", {"CHATBILL_ENGINE": "transformers", "PIP_INDEX_URL": "http://127.0.0.1:1/"})
    operator.run(*command)
    assert stat.S_IMODE(operator.data_dir.stat().st_mode) == 0o700
