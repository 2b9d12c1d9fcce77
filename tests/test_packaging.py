"""The package as it is built and installed: what it needs, what it carries, what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

import chatbill
from chatbill.__main__ import NEEDED
from tests.kit.postgres import shared

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
STORES_NEED = {"alembic", "sqlalchemy"}
HEAVY = ("dependency_injector", "fastapi", "gradio", "litestar", "pydantic", "structlog", "torch", "transformers")
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def brought_by(extra: str) -> Iterator[Requirement]:
    """Return what an extra needs, those extras that it builds on included."""
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name == PROJECT["name"]:
            for each in requirement.extras:
                yield from brought_by(each)
        else:
            yield requirement


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


@pytest.mark.parametrize("requirement", dict.fromkeys(each for extra in EXTRAS for each in brought_by(extra)), ids=str)
def test_every_requirement_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def deployed_by(file: str) -> dict[NormalizedName, Version]:
    """Return the version of each package in a file of pins; fails if one has no hash."""
    blocks = re.split(r"^(?=\S)", (ROOT / "deploy" / file).read_text(), flags=re.MULTILINE)[1:]
    deployed: dict[NormalizedName, Version] = {}
    for block in blocks:
        requirement, *hashes = block.split(" \\\n")
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}\s*", each) for each in hashes)
        name, _, version = requirement.partition(";")[0].strip().partition("==")
        deployed[canonicalize_name(name)] = Version(version)
    return deployed


def test_the_tool_that_builds_the_wheel_is_pinned_by_its_hash() -> None:
    deployed = deployed_by("requirements-build.txt")
    assert deployed == {name: PINS[name] for name in deployed}, "run `nox -s hashes`"
    assert "hatchling" in deployed


@pytest.mark.parametrize(("extra", "file"), [("server", "requirements.txt"), ("models", "requirements-models.txt")])
def test_every_deployed_file_is_pinned_by_its_hash(extra: str, file: str) -> None:
    deployed = deployed_by(file)
    assert deployed == {name: PINS[name] for name in deployed}, "run `nox -s hashes`"
    needed = {canonicalize_name(each.name) for extra in (extra, "postgres") for each in brought_by(extra)}
    assert needed <= deployed.keys(), "run `nox -s hashes`"
    assert (extra == "models") == ("torch" in deployed), "only models for Transformers need torch"


def test_the_constraints_pin_exactly_and_name_no_place() -> None:
    rows = [row for row in (ROOT / "constraints.txt").read_text().splitlines() if row and not row.startswith("#")]
    assert len(PINS) == len(rows), "one exact pin a line, each package once"
    assert not any(pin.local for pin in PINS.values()), "a local version cannot be installed elsewhere"
    assert "://" not in "".join(rows)


def test_what_the_command_line_looks_for_comes_with_the_server() -> None:
    assert {canonicalize_name(name) for name in NEEDED} <= {
        canonicalize_name(each.name) for each in brought_by("server")
    }


@pytest.mark.parametrize(("extra", "driver"), [("sqlite", "pysqlite3"), ("postgres", "psycopg")])
def test_a_store_brings_its_driver_and_neither_models_nor_a_web_framework(extra: str, driver: str) -> None:
    assert {each.name for each in brought_by(extra)} == STORES_NEED | {driver}


STORE_ALONE = """
import asyncio, sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())

from datetime import UTC, datetime, timedelta
from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.sql import schema
from chatbill.api import Cause, Description, EntryId, HoldId, Owner, Subject, Wallet, WalletId
from chatbill.api import keep_hold, keep_posting, settle_hold

now = datetime(2026, 1, 1, tzinfo=UTC)

def charge(tx):
    wallet = Wallet(id=WalletId("w"), owner=Owner("customer", "ann"))
    tx.wallets.add(wallet)
    welcome = Cause(description=Description.of("welcome"))
    posting = wallet.grant(10, entry_id=EntryId("e-1"), at=now, cause=welcome)
    keep_posting(tx, posting)
    subject, purpose, later = Subject("picture", "p"), Description.of("picture"), now + timedelta(minutes=1)
    promise = posting.wallet.hold(HoldId("h"), 5, subject=subject, purpose=purpose, at=now, expires_at=later)
    hold = keep_hold(tx, promise)
    settle_hold(tx, promise.wallet, hold, 3, entry_id=EntryId("e-2"), at=now)

async def main():
    store = open_store(sys.argv[1])
    await store.write(charge)
    print((await store.read(lambda snapshot: snapshot.wallets.get(WalletId("w")))).posted)
    await store.close()

schema.upgrade(sys.argv[1])
asyncio.run(main())
"""


@pytest.mark.parametrize("missing", [(*HEAVY, "psycopg"), (*HEAVY, "pysqlite3")], ids=["sqlite", "no pysqlite3"])
def test_a_charge_on_sqlite_needs_no_more_than_the_extra_brings(tmp_path: Path, missing: tuple[str, ...]) -> None:
    told = charge_without(f"sqlite:///{tmp_path / 'shop.sqlite3'}", missing)
    assert (told.stdout, told.returncode) == ("7\n", 0), told.stderr


@pytest.mark.postgres
def test_a_charge_on_postgresql_needs_no_more_than_the_extra_brings() -> None:
    told = charge_without(shared().empty(), (*HEAVY, "pysqlite3"))
    assert (told.stdout, told.returncode) == ("7\n", 0), told.stderr


def charge_without(url: str, missing: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Make a database and charge a wallet in it, in a process that cannot import the packages named."""
    command = [sys.executable, "-c", STORE_ALONE, url, " ".join(missing)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


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


def test_continuous_integration_runs_every_session_that_nox_runs() -> None:
    default = re.search(r"^nox\.options\.sessions = (\[.*\])", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    run = re.findall(r"nox -s ([a-z_ ]+)", (ROOT / ".ci" / "run").read_text())
    assert default
    assert sorted(" ".join(run).split()) == sorted(re.findall(r'"(\w+)"', default[1]))
