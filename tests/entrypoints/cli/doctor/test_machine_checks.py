"""What is wrong with the machine, the database, the backups and the mail server is found."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.persistence.facts import DatabaseFacts, database_facts
from chatbill.application.ports.machine import MachineFigures
from chatbill.application.ports.store import StoreUnavailable
from chatbill.container import Container
from chatbill.entrypoints.cli.doctor import machine_checks as checks
from chatbill.entrypoints.cli.doctor.findings import Level
from chatbill.settings import Settings
from tests.entrypoints.cli.doctor.scene import around, bad, instead, levels
from tests.kit.mail import Inbox, mail_server
from tests.kit.postgres import shared

ALLOWED = "0022"
"""A newer revision on which this version may run."""


class FakeSchema:
    """A schema at a revision."""

    def __init__(self, at: str | None) -> None:
        self._at = at

    def current(self) -> str | None:
        return self._at

    def head(self) -> str:
        return "0021"

    def check(self) -> None:
        if self._at not in {"0021", ALLOWED}:
            raise StoreUnavailable("This version does not run on it.")


@pytest.mark.parametrize(
    ("at", "expected"), [(None, ["warning"]), ("0020", ["warning"]), ("0021", []), (ALLOWED, []), ("0023", ["error"])]
)
async def test_a_schema_of_another_version_is_found(tmp_path: Path, at: str | None, expected: list[str]) -> None:
    assert await levels(checks.schema, instead(around(tmp_path), schema=FakeSchema(at))) == expected


@pytest.mark.parametrize(
    ("kind", "version", "expected"),
    [
        ("sqlite", (3, 51, 2), ["warning"]),
        ("sqlite", (3, 51, 3), []),
        ("postgresql", (14, 9), ["error"]),
        ("postgresql", (15, 0), []),
    ],
)
async def test_an_unsound_version_of_a_database_is_found(
    tmp_path: Path, kind: str, version: tuple[int, ...], expected: list[str]
) -> None:
    facts = DatabaseFacts(kind=kind, version=version)
    assert await levels(checks.versions, instead(around(tmp_path), database_facts=facts)) == expected


@pytest.mark.parametrize(("ahead_s", "expected"), [(1.9, []), (-3, ["warning"]), (20, ["error"]), (-20, ["error"])])
async def test_a_clock_that_is_wrong_is_found(tmp_path: Path, ahead_s: float, expected: list[str]) -> None:
    facts = DatabaseFacts(kind="postgresql", version=(18, 0), clock_ahead_s=ahead_s)
    assert await levels(checks.clock, instead(around(tmp_path), database_facts=facts)) == expected


def test_facts_come_from_the_database_itself() -> None:
    facts = database_facts(shared().url())
    assert facts.kind == "postgresql"
    assert facts.version[0] >= 18
    assert abs(facts.clock_ahead_s) < 30


class FakeMachine:
    """A machine with a part of its disk free."""

    def __init__(self, percent: int) -> None:
        self._percent = percent

    def read(self) -> MachineFigures:
        return MachineFigures(disk_free_bytes=self._percent, disk_total_bytes=100)


@pytest.mark.parametrize(("percent", "expected"), [(4, ["error"]), (14, ["warning"]), (15, [])])
async def test_a_full_disk_is_found(tmp_path: Path, percent: int, expected: list[str]) -> None:
    assert await levels(checks.disk, instead(around(tmp_path), machine=FakeMachine(percent))) == expected


class FakeModels:
    """Models that fit or not, or have trouble."""

    def __init__(self, *models: tuple[bool, str | None]) -> None:
        self._models = models

    async def __call__(self, *, run: bool, tell: Any) -> bool:
        assert not run
        for number, (fits, trouble) in enumerate(self._models):
            tell(FakeModel({"id": f"model-{number}", "fits": fits, "trouble": trouble, "words": "needs 12 GB"}))
        return True


class FakeModel:
    def __init__(self, figures: dict[str, Any]) -> None:
        self._figures = figures

    def figures(self, text: Any) -> dict[str, Any]:
        return self._figures


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([(True, None)], []),
        ([(True, None), (False, None)], ["warning"]),
        ([(False, None)], ["error"]),
        ([(True, "no answer")], ["error"]),
    ],
)
async def test_models_that_do_not_fit_or_answer_are_found(
    tmp_path: Path, models: list[tuple[bool, str | None]], expected: list[str]
) -> None:
    assert await levels(checks.models, instead(around(tmp_path), model_check=FakeModels(*models))) == expected


@pytest.mark.parametrize(
    ("age_h", "every_h", "expected"), [(None, 24, "error"), (49, 24, "error"), (47, 24, None), (900, 0, None)]
)
async def test_an_old_backup_or_none_is_found(
    tmp_path: Path, age_h: float | None, every_h: int, expected: str | None
) -> None:
    values: dict[str, Any] = {
        "backup_to": str(tmp_path / "place"),
        "backup_key_file": tmp_path / "key",
        "backup_every_hours": every_h,
    }
    Container(settings=Settings(data_dir=tmp_path)).make_backup_key(tmp_path / "key")
    if age_h is not None:
        made_at = Container(settings=Settings()).clock()() - timedelta(hours=age_h)
        (tmp_path / "place").mkdir()
        for suffix in ("json", "dump.age"):
            (tmp_path / "place" / f"chatbill-{made_at:%Y%m%dT%H%M%SZ}-abc.{suffix}").write_text("")
    assert await levels(checks.backups, around(tmp_path, **values)) == ([expected] if expected else [])


async def test_backups_that_are_not_made_or_not_encrypted_are_found(tmp_path: Path) -> None:
    assert await levels(checks.backups, around(tmp_path)) == ["warning"]
    assert await bad(checks.backups, around(tmp_path, backup_to=str(tmp_path / "place"))) == [
        (Level.WARNING, "Backups are not encrypted."),
        (Level.ERROR, "There is no backup yet."),
    ]


async def test_a_mail_server_is_tried_and_nothing_is_sent(tmp_path: Path) -> None:
    mail: dict[str, Any] = {"mail_from": "a@example.org", "mail_base_url": "https://example.org", "mail_tls": "none"}
    assert await levels(checks.mail, around(tmp_path)) == []
    inbox = Inbox()
    async with mail_server(inbox) as port:
        assert await bad(checks.mail, around(tmp_path, mail_host="127.0.0.1", mail_port=port, **mail)) == []
    assert inbox.taken == []
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert await levels(checks.mail, around(tmp_path, mail_host="127.0.0.1", mail_port=port, **mail)) == ["error"]
