"""The guides for operators name commands, files, metrics and alerts that exist."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from chatbill.adapters.monitoring.prometheus import PrometheusMetrics
from chatbill.domain.monitoring.alerts import AlertKind
from chatbill.entrypoints.cli.main import chatbill
from chatbill.settings import unknown_variables

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / "docs" / name for name in ("deployment.md", "operators.md", "runbooks.md")]
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of chatbill in a page, up to what is not a command, an option or an argument."""
    code = [*re.findall(r"```\w*\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    lines = [line for block in code for line in block.splitlines()]
    found = [
        line.split() for line in re.findall(r"(?:^|[ /])chatbill ([a-z][^#|;&\n]*)", "\n".join(lines), re.MULTILINE)
    ]
    return [words for words in found if not set(words[0]) - set("abcdefghijklmnopqrstuvwxyz-")]


def missing(words: list[str]) -> str | None:
    """Return the word of a command line that chatbill does not know; None if it knows all."""
    command: click.Command = chatbill
    while words and isinstance(command, click.Group):
        name, words = words[0].strip(","), words[1:]
        found = command.get_command(click.Context(command), name)
        if found is None:
            return name
        command = found
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = takewhile(lambda word: word != "--", words)
    return next((word for word in options if word.startswith("--") and word.partition("=")[0] not in known), None)


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", GUIDES, ids=[page.name for page in GUIDES])
def test_every_command_exists(page: Path) -> None:
    found = commands(page.read_text(encoding="utf-8"))
    assert found
    assert [words for words in found if missing(words)] == []


@pytest.mark.parametrize("page", GUIDES, ids=[page.name for page in GUIDES])
def test_every_setting_exists(page: Path) -> None:
    names = set(re.findall(r"\bCHATBILL_[A-Z0-9_]*[A-Z0-9]\b", page.read_text(encoding="utf-8")))
    assert unknown_variables(dict.fromkeys(names, "1"), env_file=None) == []


@pytest.mark.parametrize("page", GUIDES, ids=[page.name for page in GUIDES])
def test_every_file_and_section_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = set(re.findall(r"\bdeploy/[\w./-]*\w", text)) - {"deploy/.env", "deploy/chatbill-worker"}
    made = {"deploy/secrets", "deploy/secrets/grafana_password", "deploy/kubernetes/secret.yaml"}
    assert [file for file in files - made if not (ROOT / file).exists()] == []
    for target, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", text):
        linked = page.parent / target if target else page
        assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    assert f"\n## {rule['alert']}\n" in RUNBOOKS


def test_every_runbook_is_for_an_alert() -> None:
    sections = set(re.findall(r"^## (Chatbill\w+)$", RUNBOOKS, re.MULTILINE))
    assert sections == {rule["alert"] for rule in RULES}
    assert set(re.findall(r"`(\w+)`", RUNBOOKS.partition("## Alerts of the product")[2])) == {*AlertKind}


def test_every_metric_and_every_line_of_the_log_in_a_runbook_exists() -> None:
    metrics = set(re.findall(r"\bchatbill_[a-z_]+", RUNBOOKS))
    families = {family.name for family in PrometheusMetrics().registry.collect()}
    assert [name for name in metrics if name.removesuffix("_total") not in families] == []
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    events = set(re.findall(r"log has `(\w+)`|`(\w+)` or `\w+` with the cause|the log the lines\n`(\w+)`", RUNBOOKS))
    assert len(events) >= 5
    assert [name for name in sum(events, ()) if name and f'"{name}"' not in source] == []
