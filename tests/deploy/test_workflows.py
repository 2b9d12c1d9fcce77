"""The workflows in `.github/` are what the published schema allows, and run what this repository has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.kit.deployment import ROOT, violations

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=[file.name for file in WORKFLOWS])
def test_the_workflow_follows_the_schema(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads the key `on` as true.
    assert violations(workflow, "vendor.github-workflows") == []


def test_the_checks_are_those_of_this_repository() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "bash .ci/run" in text
    assert "deploy/Containerfile" in text
