"""Who may know whom. The contracts stand in pyproject.toml; this holds what they cannot say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).parent.parent
# These run wherever Python runs.
BARE = (
    "chatbill.domain",
    "chatbill.application",
    "chatbill.adapters.memory",
    "chatbill.adapters.system",
    "chatbill.testing",
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("chatbill", include_external_packages=True, cache_dir=None)


def test_the_import_contracts_are_kept() -> None:
    # In a process of its own: it sets up logging for itself.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    told = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert told.returncode == 0, told.stdout


def test_there_is_a_contract_for_each_promise() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    assert {contract["id"] for contract in contracts} == {"layers", "container", "siblings", "core"}


@pytest.mark.parametrize("package", BARE)
def test_the_core_needs_nothing_but_python(graph: grimp.ImportGraph, package: str) -> None:
    modules = {package} | graph.find_descendants(package)
    imported = {name for module in modules for name in graph.find_modules_directly_imported_by(module)}
    foreign = {name.partition(".")[0] for name in imported} - {"chatbill"} - sys.stdlib_module_names
    assert foreign == set()


@pytest.mark.parametrize("forbidden", ["datetime.now(", "utcnow(", "time.time(", "import random", "import asyncio"])
def test_the_domain_has_no_clock_no_chance_and_waits_for_nothing(forbidden: str) -> None:
    files = (ROOT / "src" / "chatbill" / "domain").rglob("*.py")
    assert [file.name for file in files if forbidden in file.read_text(encoding="utf-8")] == []
