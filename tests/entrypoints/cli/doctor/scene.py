"""The surroundings of a doctor: settings, a container, and answers from a public address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from dependency_injector import providers

from chatbill.container import Container
from chatbill.entrypoints.cli.doctor.findings import Bad, Check, Level, Surroundings
from chatbill.entrypoints.web.probes import Seen
from chatbill.settings import Settings

URL = "https://chat.example.org"
DIRECT = Seen(scheme="https", host="chat.example.org", client="192.0.2.1", ignored=())


def around(
    folder: Path, *, url: str | None = URL, seen: Seen | None = DIRECT, lied_to: Seen = DIRECT, **values: Any
) -> Surroundings:
    """Return surroundings. `seen` is what the service sees, None if it does not answer; `lied_to` by a false header."""
    settings = Settings(data_dir=folder, **values)

    async def ask(headers: dict[str, str]) -> Seen:
        if seen is None:
            raise OSError("status 502")
        return lied_to if headers else seen

    return Surroundings(settings=settings, container=Container(settings=settings), url=url, seen=ask)


def instead(around: Surroundings, **parts: Any) -> Surroundings:
    """Return the surroundings with other parts in the container: each is what it returns."""
    for name, part in parts.items():
        getattr(around.container, name).override(providers.Object(part))
    return around


async def bad(check: Check, around: Surroundings) -> list[tuple[Level, str]]:
    """Return the levels and texts of what is bad. Each has advice."""
    found: Iterator[Bad] | AsyncIterator[Bad] = check(around)
    listed = list(found) if isinstance(found, Iterator) else [each async for each in found]
    assert all(each.advice for each in listed)
    return [(each.level, each.what) for each in listed]


async def levels(check: Check, around: Surroundings) -> list[str]:
    """Return the levels of what is bad."""
    return [level.value for level, _ in await bad(check, around)]
