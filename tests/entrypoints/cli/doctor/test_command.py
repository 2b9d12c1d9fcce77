"""The doctor runs every check whatever another one does, and says by its exit code how bad it is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatbill.entrypoints.cli.doctor.command import AT_ADDRESS, CHECKS, examine
from tests.entrypoints.cli.doctor.scene import around, instead
from tests.service.process import Service


class Broken:
    """A part that fails in a way that no check expects."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("surprise")


async def test_a_check_that_fails_is_an_error_and_hinders_no_other(tmp_path: Path) -> None:
    found = await examine(instead(around(tmp_path, engine="scripted"), machine=Broken()))
    assert {each.check for each in found} == {check.__name__ for check in (*CHECKS, *AT_ADDRESS)}
    (disk,) = (each for each in found if each.check == "disk")
    assert (disk.level.value, disk.what) == ("error", "This check failed: RuntimeError: surprise")


@pytest.mark.parametrize("check", [*CHECKS, *AT_ADDRESS], ids=lambda check: check.__name__)
def test_each_check_says_what_it_looks_at(check: Callable[..., object]) -> None:
    assert (inspect.getdoc(check) or "").partition("\n")[0].endswith(".")


@pytest.mark.slow
def test_a_running_service_is_examined_through_its_address(tmp_path: Path) -> None:
    service = Service(tmp_path / "data", {"CHATBILL_BACKUP_TO": str(tmp_path / "place")}).start()
    try:
        assert service.run("backup", "make").returncode == 0
        done = service.run("doctor", "--json", "--url", service.url)
        findings = {each["check"]: each for each in map(json.loads, done.stdout.splitlines())}
        # How full the disk of this machine is, is not for the test to say.
        levels = {check: each["level"] for check, each in findings.items() if check not in {"disk", "versions"}}
        assert levels.pop("backups") == "warning", done.stdout
        assert set(levels.values()) == {"fine"}, done.stdout
        assert done.returncode >= 1
        service.environment["CHATBILL_SECRET_KEY"] = "another key than that of the service"
        other = service.run("doctor", "--url", service.url)
        assert other.returncode == 2
        assert "does not answer as this service: status 404" in other.stdout
    finally:
        service.stop()


@pytest.mark.slow
def test_a_doctor_before_the_first_start_makes_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path / "data")
    done = service.run("doctor", "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "There is no database yet" in done.stdout
    assert "there is no signing key here yet" in done.stdout
    assert not service.data_dir.exists()
