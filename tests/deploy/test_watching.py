"""The files in `deploy/` for Prometheus and Grafana name only metrics that exist, and are what their tools read."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatbill.adapters.monitoring.prometheus import PrometheusMetrics
from tests.kit.proxies import program

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "chatbill.json"
LABELS = {
    "method",
    "route",
    "status",
    "model",
    "outcome",
    "code",
    "kind",
    "state",
    "operation",
    "gpu",
    "le",
    "instance",
}
FROM_PROMETHEUS = {"up"}


def existing() -> set[str]:
    """Return every name under which a sample can come."""
    names = set(FROM_PROMETHEUS)
    for family in PrometheusMetrics().registry.collect():
        match family.type:
            case "counter":
                names.add(f"{family.name}_total")
            case "histogram":
                names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
            case _:
                names.add(family.name)
    return names


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def named(query: str) -> set[str]:
    return set(re.findall(r"\b(?:chatbill|process|python)_[a-z_]+|\bup\b", query))


def test_every_metric_in_a_query_exists() -> None:
    found = [(query, name) for query in queries() for name in named(query)]
    assert len(found) > 40
    assert [pair for pair in found if pair[1] not in existing()] == []


def test_every_metric_of_the_service_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in named(target["expr"])}
    families = {family.name for family in PrometheusMetrics().registry.collect() if family.name.startswith("chatbill")}
    missing = {each for each in families if not any(name.startswith(each) for name in shown)}
    assert missing <= {"chatbill_info", "chatbill_model_available", "chatbill_model_healthy"}


def test_queries_group_by_labels_that_exist() -> None:
    for query in queries():
        for labels in re.findall(r"by \(([^)]*)\)", query):
            assert {label.strip() for label in labels.split(",")} <= LABELS, query


def test_every_alert_says_what_is_wrong_and_how_serious_it_is() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Chatbill")
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]


def test_panels_do_not_lie_over_each_other() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("rules", ALERTS),
        ("config", DEPLOY / "prometheus" / "prometheus.yml"),
        ("config", DEPLOY / "prometheus" / "compose.yml"),
    ],
)
def test_promtool_accepts_the_files(kind: str, file: Path) -> None:
    promtool = program("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it), so it did not check the files")
    checked = subprocess.run(
        [promtool, "check", kind, str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
