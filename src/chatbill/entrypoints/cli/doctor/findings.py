"""What the doctor finds, and what its checks look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from chatbill.container import Container
from chatbill.entrypoints.web.probes import Seen
from chatbill.settings import Settings


class Level(StrEnum):
    """How serious a finding is. With a warning, the service works; with an error, something fails or is unsafe."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `advice` says what to do, and is empty where all is well."""

    check: str
    level: Level
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """What a check yields: a level, what is wrong, and what to do."""

    level: Level
    what: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The settings, the parts that are made from them, and the answers through the public address, if there is one.

    `seen` asks for what the service sees of a request with these additional headers. It raises `OSError`.
    """

    settings: Settings
    container: Container
    url: str | None
    seen: Callable[[dict[str, str]], Awaitable[Seen]]


def warning(what: str, advice: str) -> Bad:
    """Return a finding with which the service works."""
    return Bad(Level.WARNING, what, advice)


def error(what: str, advice: str) -> Bad:
    """Return a finding with which something fails or is unsafe."""
    return Bad(Level.ERROR, what, advice)


Check: TypeAlias = Callable[[Surroundings], Iterator[Bad] | AsyncIterator[Bad]]
"""Yields what is wrong; nothing, if all is well. Its docstring's first line says what it looks at."""
