"""The units in `deploy/systemd/` are what systemd accepts, and start the service with settings that exist."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from chatbill.settings import load_settings
from tests.kit.deployment import DEPLOY, environment_file, settings_of

FOLDER = DEPLOY / "systemd"
UNITS = ["chatbill.service", "chatbill-worker.service"]
MOST_EXPOSED = 25
"""systemd counts from 0 to 100; its own services for the network have 20 to 90."""


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(FOLDER / name, encoding="utf-8")
    return parser


def analyzed(tmp_path: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on a copy of a unit whose program exists here, or skip the test."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("SYSTEMD-ANALYZE IS NOT INSTALLED (Debian's package systemd), so the units were not checked")
    file = tmp_path / name
    text = (FOLDER / name).read_text(encoding="utf-8")
    file.write_text(text.replace("/opt/chatbill/bin/chatbill", shutil.which("true") or "/bin/true"), encoding="utf-8")
    command = [tool, *arguments, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(tmp_path: Path, name: str) -> None:
    checked = analyzed(tmp_path, name, "verify")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_hardened(tmp_path: Path, name: str) -> None:
    checked = analyzed(tmp_path, name, "security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    assert checked.returncode == 0, checked.stdout


def test_the_units_differ_only_in_what_they_run() -> None:
    web, worker = (unit(name)["Service"] for name in UNITS)
    assert {key for key in web if web[key] != worker[key]} == {"ExecStart"}
    assert web["ExecStart"].endswith("/chatbill serve")
    assert worker["ExecStart"].endswith("/chatbill worker")


def test_the_settings_of_the_example_exist(tmp_path: Path) -> None:
    variables = settings_of(environment_file(FOLDER / "env.example"))
    (tmp_path / "secret_key").write_text("k" * 64)
    (tmp_path / "database_url").write_text("postgresql://chatbill:secret@localhost/chatbill")
    here = {name: value.replace("/etc/chatbill", str(tmp_path)) for name, value in variables.items()}
    settings = load_settings(here, env_file=None)
    assert settings.data_dir == Path("/var/lib") / unit(UNITS[0])["Service"]["StateDirectory"]


def test_systemd_waits_until_every_reply_is_settled() -> None:
    waits = int(unit(UNITS[0])["Service"]["TimeoutStopSec"])
    assert waits > 2 * load_settings({}, env_file=None).shutdown_grace_s


@pytest.mark.parametrize("name", UNITS)
def test_systemd_never_gives_up_a_service_that_fails_to_start(name: str) -> None:
    """A database that is away for a while must not end the service for good."""
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit(name)["Service"]["Restart"] in {"always", "on-failure"}
