"""The package as it is built and installed: what it needs, what it carries, what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import chatbill
from chatbill.__main__ import NEEDED

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that `pip install .` would make."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_core_needs_nothing() -> None:
    assert PROJECT["dependencies"] == []


@pytest.mark.parametrize("wanted", [each for extra in EXTRAS.values() for each in extra])
def test_every_requirement_is_pinned_within_its_range(wanted: str) -> None:
    requirement = Requirement(wanted)
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_constraints_pin_exactly_and_name_no_place() -> None:
    rows = [row for row in (ROOT / "constraints.txt").read_text().splitlines() if row and not row.startswith("#")]
    assert len(PINS) == len(rows), "one exact pin a line, each package once"
    assert not any(pin.local for pin in PINS.values()), "a local version cannot be installed elsewhere"
    assert "://" not in "".join(rows)


def test_what_the_command_line_looks_for_comes_with_the_server() -> None:
    assert {canonicalize_name(name) for name in NEEDED} <= {
        canonicalize_name(Requirement(each).name) for each in EXTRAS["server"]
    }


def test_the_wheel_carries_the_migrations_the_types_and_the_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "chatbill/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    migrations = {path.relative_to(ROOT / "migrations").as_posix() for path in (ROOT / "migrations").rglob("*.py")}
    assert {f"chatbill/migrations/{name}" for name in migrations} <= set(names)


def test_the_wheel_carries_every_file_of_the_source(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= set(wheel.namelist())


def test_the_version_is_said_once_and_known_everywhere(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    said = Parser().parsestr(wheel.read(metadata).decode())
    assert said["Version"] == chatbill.__version__
    assert f"## {chatbill.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_script_starts_at_the_check(wheel: zipfile.ZipFile) -> None:
    (points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "chatbill = chatbill.__main__:main" in wheel.read(points).decode()


def test_without_the_service_the_command_line_says_what_to_install() -> None:
    # -S leaves out every installed package.
    told = subprocess.run(
        [sys.executable, "-S", "-m", "chatbill", "serve"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 1
    assert told.stderr.strip().endswith("pip install 'chatbill[server]'")
    assert "Traceback" not in told.stderr
