"""Reads the settings, and explains what is wrong with them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as UnreadableSetting

from chatbill.domain.shared.errors import ChatbillError
from chatbill.settings.model import PREFIX, Settings

DOTENV: Final = Path(".env")


class SettingsError(ChatbillError):
    """Settings are invalid. The message has a line for each, with the name of the variable and what is allowed."""

    code = "invalid_settings"


def load_settings(
    environ: Mapping[str, str] = os.environ, *, env_file: Path | None = DOTENV, **chosen: object
) -> Settings:
    """Return the settings from `chosen`, `environ`, `env_file` and the defaults, in this order of priority.

    `chosen` holds options of the command line by field name; None means not given. An empty variable counts
    as not set. Raises `SettingsError`.
    """
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in _variables(environ, env_file).items()}
    try:
        values: dict[str, Any] = source()
    except UnreadableSetting as error:
        raise SettingsError(_not_json(str(error))) from None
    values.update({name: value for name, value in chosen.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explanations(error))) from None


def unknown_variables(environ: Mapping[str, str] = os.environ, *, env_file: Path | None = DOTENV) -> list[str]:
    """Return a message for each variable that looks like a setting and is not one."""
    messages = []
    for name in sorted(_variables(environ, env_file)):
        field = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and field not in Settings.model_fields:
            near = difflib.get_close_matches(field, Settings.model_fields, n=1)
            messages.append(f"{name} is not a setting" + (f"; did you mean {variable(near[0])}?" if near else ""))
    return messages


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def variable_value(name: str, environ: Mapping[str, str] = os.environ, *, env_file: Path | None = DOTENV) -> str | None:
    """Return the value of a variable that a setting names; None if it is not set or empty."""
    return _variables(environ, env_file).get(name)


def _variables(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Return the variables that are not empty. The environment has priority over the file."""
    try:
        in_file = dotenv_values(env_file, interpolate=False, encoding="utf-8") if env_file is not None else {}
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"The file {env_file} cannot be read: {error}") from error
    both = {name: value for name, value in in_file.items() if value}
    return both | {name: value for name, value in environ.items() if value}


def _not_json(message: str) -> str:
    # pydantic-settings says: error parsing value for field "prices" from source "EnvSettingsSource"
    field = message.partition('"')[2].partition('"')[0]
    return f"{variable(field)}: must be JSON. {Settings.model_fields[field].description}"


def _explanations(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"]:
            yield message
            continue
        field, *inside = map(str, detail["loc"])
        if field not in Settings.model_fields:
            yield f"{field}: is not a setting"
            continue
        where = f" ({' → '.join(inside)})" if inside else ""
        yield f"{variable(field)}{where}: {message}. {Settings.model_fields[field].description}"
