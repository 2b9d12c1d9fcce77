"""Reads the files in `deploy/` for tests, and checks them against published schemas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from chatbill.settings import unknown_variables

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE_LABELS = re.compile(r"(?P<name>[\w./-]+):v?(?P<version>\d+\.\d+(\.\d+)?)(-[\w.-]+)?(@sha256:[0-9a-f]{64})?")
"""The name of an image with its exact version, as in `docker.io/library/caddy:2.10.2-alpine`."""


def documents(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]


def violations(document: object, schema: str) -> list[str]:
    """Return where a document breaks a schema that check-jsonschema ships, such as `vendor.compose-spec`."""
    validator = jsonschema_rs.validator_for(get_builtin_schema(schema))
    return [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in validator.iter_errors(document)]


def environment_file(file: Path) -> dict[str, str]:
    """Return the variables of a file with a variable on each line."""
    lines = (line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def settings_of(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables that look like settings; fails unless every one is a setting, or its file."""
    assert unknown_variables(variables, env_file=None) == []
    return {name: value for name, value in variables.items() if name.startswith("CHATBILL_")}
