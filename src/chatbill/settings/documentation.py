"""Writes docs/settings.md and .env.example from the code, so that both are always up to date."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import NoDecode

from chatbill.settings.loading import variable
from chatbill.settings.model import Settings

KINDS = {"string": "text", "object": "JSON", "array": "JSON list", "boolean": "`true`, `false`"}
BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "≥ {} characters",
}

PAGE_HEAD = """\
# Settings

Set them in the environment, or in a file `.env` in the folder where chatbill starts. The environment overrides the
file, and options of the command line override both. An empty variable counts as not set. If a value is not allowed,
chatbill does not start; the message names the variable and the allowed values.

Every setting can be read from a file, which is how Docker, Kubernetes and systemd hand over secrets: write `_FILE`
after its name. `CHATBILL_SECRET_KEY_FILE=/run/secrets/secret_key` sets `CHATBILL_SECRET_KEY` to the text of that file,
without white space around it. Also variables that a catalogue names with `api_key_env` can be read from files.

<!-- Written by `python -m chatbill.settings`; change the descriptions in the code instead. -->

| variable | default | allowed | meaning |
|---|---|---|---|
"""
EXAMPLE_HEAD = """\
# Every setting of chatbill with its default. Copy this file to .env and remove the # from the lines you change.
# Written by `python -m chatbill.settings --example`; docs/settings.md is the same as a page.
"""


def page() -> str:
    """Return the Markdown page of all settings."""
    schema = Settings.model_json_schema()["properties"]
    return PAGE_HEAD + "".join(
        f"| `{variable(name)}` | {_code(_default(field))} | {_allowed(field, schema[name])} | {_cell(field)} |\n"
        for name, field in Settings.model_fields.items()
    )


def example() -> str:
    """Return the text of `.env.example`: a comment and a commented-out line for each setting."""
    return EXAMPLE_HEAD + "".join(
        f"\n{textwrap.fill(field.description or '', 118, initial_indent='# ', subsequent_indent='# ')}\n"
        f"#{variable(name)}={_default(field)}\n"
        for name, field in Settings.model_fields.items()
    )


def _default(field: FieldInfo) -> str:
    """Return the default as text; "" if there is none or it depends on the machine."""
    value: Any = field.default
    if value is PydanticUndefined or value is None or value == ():
        return ""
    if isinstance(value, bool | dict | tuple):
        return json.dumps(to_jsonable_python(value))
    return str(value)


def _allowed(field: FieldInfo, described: dict[str, Any]) -> str:
    """Return the choices, the bounds or the type of a setting, from its JSON schema."""
    if NoDecode in field.metadata:
        return "list with commas"
    options = [option for option in described.get("anyOf", [described]) if option.get("type") != "null"]
    if choices := options[0].get("enum") or ([options[0]["const"]] if "const" in options[0] else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    return ", ".join(_bounds(options)) or KINDS[options[0]["type"]]


def _bounds(options: list[dict[str, Any]]) -> Iterator[str]:
    for option in options:
        for key, form in BOUNDS.items():
            # "At least one character" is left out, because an empty variable is not set.
            if key in option and (key, option[key]) != ("minLength", 1):
                yield form.format(f"{option[key]:,}")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")
