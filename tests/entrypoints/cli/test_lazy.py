"""The command line imports what a command needs, and the list of commands tells what they tell themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from chatbill.entrypoints.cli.lazy import LazyGroup, Place
from chatbill.entrypoints.cli.main import COMMANDS, chatbill
from tests.service.process import Service

HEAVY = {"aiohttp", "fastapi", "gradio", "litestar", "starlette", "torch", "uvicorn"}
IMPORTED = """
import json, runpy, sys
sys.argv[:1] = ["chatbill"]
try:
    runpy.run_module("chatbill", run_name="__main__")
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imported(data: Path, *command: str) -> set[str]:
    """Run a command; returns the packages that it has imported."""
    environment = Service(data).variables()
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, packages = json.loads(done.stdout.splitlines()[-1])
    assert not code, done.stdout
    return set(packages)


def test_the_list_tells_what_each_command_tells_of_itself() -> None:
    context = click.Context(chatbill, info_name="chatbill", max_content_width=100, terminal_width=100)
    themselves = click.Group("chatbill", commands={name: place.imported() for name, place in COMMANDS.items()})
    formatter, expected = context.make_formatter(), context.make_formatter()
    chatbill.format_commands(context, formatter)
    themselves.format_commands(context, expected)
    assert formatter.getvalue() == expected.getvalue()
    assert "worker" in formatter.getvalue()


def test_each_command_has_its_name() -> None:
    assert {name: place.imported().name for name, place in COMMANDS.items()} == {name: name for name in COMMANDS}


def test_a_place_without_a_command_is_an_error() -> None:
    group = LazyGroup("group", places={"wrong": Place("json:dumps", "Says nothing.")})
    with pytest.raises(TypeError, match="json:dumps is no command"):
        group.get_command(click.Context(group), "wrong")


def test_the_help_imports_no_command(tmp_path: Path) -> None:
    assert imported(tmp_path, "--help") & {*HEAVY, "alembic", "dependency_injector", "sqlalchemy", "structlog"} == set()


def test_a_command_imports_nothing_that_only_a_service_needs(tmp_path: Path) -> None:
    assert "sqlalchemy" in imported(tmp_path, "db", "upgrade")
    assert imported(tmp_path, "users", "list") & HEAVY == set()
