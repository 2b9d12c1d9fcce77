"""The page of security tests names tests that exist, and every part of the promises has one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security-tests.md"
NAMED = re.compile(r"`([a-z0-9_/]+\.py)::([A-Za-z0-9_:]+)`")


def names_in(path: Path) -> set[str]:
    """Return the names of the tests in a file, with the class that they are in."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (each for each in inner if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        found |= {f"{before}{function.name}" for function in functions if function.name.startswith("test_")}
    return found


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 100
    missing = [(file, name) for file, name in named if name not in names_in(TESTS / file)]
    assert missing == []


def test_every_promise_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row != "| promise | tests |"]
    assert len(promises) > 50
    assert [row for row in promises if not NAMED.search(row)] == []
