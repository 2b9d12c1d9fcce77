"""Fixtures that start services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.service.process import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a running service that tests share. Each test registers its own users."""
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    if running.url:
        running.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return a function that starts a service with variables (without `CHATBILL_`) on the data folder of the test."""
    started: list[Service] = []

    def _start(mode: str = "api", **variables: object) -> Service:
        environment = {f"CHATBILL_{name.upper()}": str(value) for name, value in variables.items()}
        started.append(Service(tmp_path / "data", environment, mode=mode))
        return started[-1].start()

    yield _start
    for each in started:
        if each.process and each.process.poll() is None:
            each.kill()


@pytest.fixture
def service_on(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return a function that starts a service on this database, with its own data folder."""
    with ExitStack() as running:

        def _start(url: str, **variables: object) -> Service:
            environment = {f"CHATBILL_{name.upper()}": str(value) for name, value in variables.items()}
            # A token of one process is valid at all of them.
            environment["CHATBILL_SECRET_KEY"] = "k" * 40
            environment["CHATBILL_DATABASE_URL"] = url
            folder = tmp_path / f"data-{len(started)}"
            service = Service(folder, environment).start()
            started.append(service)
            running.callback(lambda: service.kill() if service.url else None)
            return service

        started: list[Service] = []
        yield _start
