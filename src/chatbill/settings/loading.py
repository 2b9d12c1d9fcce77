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
FILE_SUFFIX: Final = "_FILE"
MAX_FILE_BYTES: Final = 65_536


class SettingsError(ChatbillError):
    """Settings are invalid. The message has a line for each, with the name of the variable and what is allowed."""

    code = "invalid_settings"


def load_settings(
    environ: Mapping[str, str] = os.environ, *, env_file: Path | None = DOTENV, **chosen: object
) -> Settings:
    """Return the settings from `chosen`, `environ`, `env_file` and the defaults, in this order of priority.

    `chosen` holds options of the command line by field name; None means not given. An empty variable counts
    as not set. A variable with `_FILE` after the name of a setting names the file that has its value. Raises
    `SettingsError`.
    """
    source = EnvSettingsSource(Settings)
    source.env_vars = {}
    for variables in _sources(environ, env_file):
        source.env_vars |= {name.lower(): value for name, value in _with_files(variables).items()}
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
        if name.upper().startswith(PREFIX) and field not in Settings.model_fields and not _setting_in_file(name):
            near = difflib.get_close_matches(field, Settings.model_fields, n=1)
            messages.append(f"{name} is not a setting" + (f"; did you mean {variable(near[0])}?" if near else ""))
    return messages


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def variable_value(name: str, environ: Mapping[str, str] = os.environ, *, env_file: Path | None = DOTENV) -> str | None:
    """Return the value of a variable that a setting names, or of the file that `name` and `_FILE` names.

    None if neither is set. Raises `SettingsError`.
    """
    variables = _variables(environ, env_file)
    file = variables.get(name + FILE_SUFFIX)
    return variables.get(name) or (_content(name + FILE_SUFFIX, file) if file else None)


def _variables(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Return the variables that are not empty. The environment has priority over the file."""
    in_file, in_environment = _sources(environ, env_file)
    return in_file | in_environment


def _sources(environ: Mapping[str, str], env_file: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables of the file and those of the environment, without empty ones."""
    try:
        in_file = dotenv_values(env_file, interpolate=False, encoding="utf-8") if env_file is not None else {}
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"The file {env_file} cannot be read: {error}") from error
    return (
        {name: value for name, value in in_file.items() if value},
        {name: value for name, value in environ.items() if value},
    )


def _with_files(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables with the contents of the files that they name."""
    set_already = {name.upper() for name in variables}
    read = {}
    for name, file in variables.items():
        if setting := _setting_in_file(name):
            if setting in set_already:
                raise SettingsError(f"{setting} and {name} are both set: remove one of them")
            read[setting] = _content(name, file)
    return variables | read


def _setting_in_file(name: str) -> str | None:
    """Return the variable whose value lies in the file that the variable `name` names; None if it names none."""
    field = name.lower().removeprefix(PREFIX.lower())
    setting = field.removesuffix(FILE_SUFFIX.lower())
    if not name.upper().startswith(PREFIX) or field in Settings.model_fields or setting not in Settings.model_fields:
        return None
    return variable(setting)


def _content(name: str, file: str) -> str:
    """Return the text of a file without white space around it, so that an editor may end its last line."""
    try:
        with Path(file).open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
        text = raw.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        # The error of a decoder quotes what it has read, which may be a secret.
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"{name}: the file {file} cannot be read: {why}") from None
    if not text or len(raw) > MAX_FILE_BYTES:
        raise SettingsError(f"{name}: the file {file} must have 1 to {MAX_FILE_BYTES:,} bytes of text")
    return text


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
