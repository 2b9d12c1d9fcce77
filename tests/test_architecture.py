"""The import contracts of pyproject.toml, and rules that contracts cannot express."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration

ROOT = Path(__file__).parent.parent
# These need only the standard library.
BARE = (
    "chatbill.domain",
    "chatbill.application",
    "chatbill.adapters.memory",
    "chatbill.adapters.system",
    "chatbill.api",
    "chatbill.testing.environment",
    "chatbill.testing.fakes",
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("chatbill", include_external_packages=True, cache_dir=None)


def test_the_import_contracts_are_kept() -> None:
    # In a separate process, because it configures logging.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    result = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 0, result.stdout


def test_the_contracts_are_complete() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    assert {contract["id"] for contract in contracts} == {
        "layers",
        "domain",
        "application",
        "container",
        "entrypoints",
        "web",
        "http",
        "siblings",
        "core",
    }


@pytest.mark.parametrize("package", BARE)
def test_the_core_needs_only_the_standard_library(graph: grimp.ImportGraph, package: str) -> None:
    modules = {package} | graph.find_descendants(package)
    imported = {name for module in modules for name in graph.find_modules_directly_imported_by(module)}
    foreign = {name.partition(".")[0] for name in imported} - {"chatbill"} - sys.stdlib_module_names
    assert foreign == set()


@pytest.mark.parametrize("forbidden", ["datetime.now(", "utcnow(", "time.time(", "import random", "import asyncio"])
def test_the_domain_uses_no_clock_no_random_numbers_and_no_asyncio(forbidden: str) -> None:
    files = (ROOT / "src" / "chatbill" / "domain").rglob("*.py")
    assert [file.name for file in files if forbidden in file.read_text(encoding="utf-8")] == []
