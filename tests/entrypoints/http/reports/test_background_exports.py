"""Spreadsheets that are written in the background: for their owner alone, with what they may read, and for a day."""

from __future__ import annotations

import io
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from chatbill.application.ports.store import Transaction
from chatbill.application.reports.export_jobs import IN_ALL, KEPT_S, OF_ONE_PERSON
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.entrypoints.http import HttpConfig
from chatbill.entrypoints.web import background_exports
from chatbill.entrypoints.web.background_exports import ExportFolder, export_runner
from tests.kit.http import Api, api, say
from tests.kit.staff import id_of, member, trail
from tests.kit.support import PASSWORD

LEDGER, REQUESTS, EXPORTS = "/admin/exports/ledger", "/admin/exports/interactions", "/admin/exports"


@pytest.fixture
def folder(tmp_path: Path) -> ExportFolder:
    return ExportFolder(tmp_path / "exports")


@pytest.fixture
async def service(folder: ExportFolder) -> AsyncIterator[Api]:
    async with api(HttpConfig(exports=folder)) as running:
        alice = await running.person("alice")
        await alice.post("/chat/message", json=say("Secret plans"))
        await running.settled()
        yield running


@pytest.fixture
async def finance(service: Api) -> httpx.AsyncClient:
    return await staff(service, UserRole.FINANCE, "frank")


async def staff(service: Api, role: UserRole, name: str) -> httpx.AsyncClient:
    await member(service.world, role, name)
    client = service.client(timeout=10)
    signed_in = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return client


async def write(service: Api, folder: ExportFolder) -> int:
    return await export_runner(service.world.use_cases, folder)()


async def asked(client: httpx.AsyncClient, path: str, **params: str) -> dict[str, Any]:
    answer = await client.post(path, params=params)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def words(content: bytes) -> str:
    with ZipFile(io.BytesIO(content)) as book:
        return " ".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))


async def test_an_export_is_queued_written_and_fetched(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder
) -> None:
    export = await asked(finance, LEDGER, kind="charge")
    assert (export["what"], export["state"], export["rows"]) == ("ledger", "queued", 0)
    early = await finance.get(f"{EXPORTS}/{export['id']}/file")
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert await write(service, folder) == 1
    done = (await finance.get(f"{EXPORTS}/{export['id']}")).json()
    assert (done["state"], done["rows"], done["error"]) == ("done", 1, None)
    assert (await finance.get(EXPORTS)).json() == {"items": [done]}
    file = await finance.get(f"{EXPORTS}/{export['id']}/file")
    assert file.headers["content-disposition"] == 'attachment; filename="chatbill-ledger.xlsx"'
    assert "SUM(F2:F2)" in words(file.content)
    records = await trail(service.world, AuditAction.EXPORTED)
    assert [record.after and record.after["kind"] for record in records] == ["charge"]


async def test_an_export_of_requests_has_no_texts_and_no_search(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder
) -> None:
    export = await asked(finance, REQUESTS, model="demo-mini")
    await write(service, folder)
    text = words((await finance.get(f"{EXPORTS}/{export['id']}/file")).content)
    assert "demo-mini" in text
    assert "Secret" not in text
    assert (await finance.post(REQUESTS, params={"q": "Secret"})).status_code == 422


async def test_an_export_is_for_its_owner_alone(service: Api, finance: httpx.AsyncClient, folder: ExportFolder) -> None:
    export = await asked(finance, LEDGER)
    await write(service, folder)
    admin = await staff(service, UserRole.ADMIN, "root")
    for path in (f"{EXPORTS}/{export['id']}", f"{EXPORTS}/{export['id']}/file", f"{EXPORTS}/..%2f..%2fetc"):
        assert (await admin.get(path)).status_code == 404
    assert (await admin.get(EXPORTS)).json() == {"items": []}


@pytest.mark.parametrize("before", [True, False])
async def test_an_export_needs_the_permission_when_it_is_written_and_when_it_is_fetched(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder, before: bool
) -> None:
    export = await asked(finance, LEDGER)
    if not before:
        await write(service, folder)
    await give_role(service, "frank", UserRole.SUPPORT)
    await write(service, folder)
    assert len(list(folder.path.glob("*.xlsx"))) == (0 if before else 1)
    assert (await finance.get(f"{EXPORTS}/{export['id']}/file")).status_code == 403
    assert (await finance.post(LEDGER)).status_code == 403


async def give_role(service: Api, name: str, role: UserRole) -> None:
    user_id = await id_of(service.world, name)

    def work(tx: Transaction) -> None:
        user = tx.users.lock(user_id)
        assert user
        user.role = role
        tx.users.save(user)

    await service.world.store.write(work)


async def test_who_leaves_the_staff_gets_no_export_of_requests(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder
) -> None:
    export = await asked(finance, REQUESTS)
    await give_role(service, "frank", UserRole.USER)
    assert await write(service, folder) == 1
    assert list(folder.path.glob("*.xlsx")) == []
    assert (await finance.get(f"{EXPORTS}/{export['id']}")).status_code == 403


async def test_exports_are_bounded_per_person_and_in_all(service: Api, finance: httpx.AsyncClient) -> None:
    for _ in range(OF_ONE_PERSON):
        await asked(finance, LEDGER)
    refused = await finance.post(LEDGER)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    for number in range(IN_ALL // OF_ONE_PERSON - 1):
        other = await staff(service, UserRole.VIEWER, f"viewing-{number}")
        for _ in range(OF_ONE_PERSON):
            await asked(other, REQUESTS)
    assert (await (await staff(service, UserRole.ADMIN, "root")).post(LEDGER)).status_code == 503
    service.world.clock.advance(KEPT_S)
    await asked(await staff(service, UserRole.ADMIN, "later"), LEDGER)


async def test_an_export_that_is_too_long_has_failed_and_leaves_no_file(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_exports, "MAX_ROWS", 1)
    export = await asked(finance, LEDGER)
    assert await write(service, folder) == 1
    found = (await finance.get(f"{EXPORTS}/{export['id']}")).json()
    assert (found["state"], found["error"]) == ("failed", "too_many_rows")
    assert {path.suffix for path in folder.path.iterdir()} == {".json"}


async def test_files_are_removed_after_a_day(service: Api, finance: httpx.AsyncClient, folder: ExportFolder) -> None:
    export = await asked(finance, LEDGER)
    await write(service, folder)
    long_ago = time.time() - KEPT_S - 60
    (folder.path / "left-behind").mkdir()
    for path in folder.path.iterdir():
        os.utime(path, (long_ago, long_ago))
    folder.forget_old()
    assert list(folder.path.iterdir()) == []
    assert (await finance.get(f"{EXPORTS}/{export['id']}")).json()["error"] == "file_missing"
    service.world.clock.advance(KEPT_S)
    assert (await (await staff(service, UserRole.ADMIN, "later")).get(EXPORTS)).json() == {"items": []}


async def test_an_attempt_that_died_is_written_anew(
    service: Api, finance: httpx.AsyncClient, folder: ExportFolder
) -> None:
    export = await asked(finance, LEDGER)
    job = await service.world.store.read(lambda snapshot: snapshot.jobs.get(export["id"]))
    assert job
    folder.note(job, replace(folder.progress(job), rows=77))
    (folder.path / f"{job.id}.died").mkdir()
    (folder.path / f"{job.id}.died" / "export.xlsx").write_bytes(b"half of a file")
    await write(service, folder)
    found = (await finance.get(f"{EXPORTS}/{export['id']}")).json()
    assert (found["state"], found["rows"]) == ("done", 3)


async def test_without_a_folder_there_are_no_exports() -> None:
    async with api() as running:
        admin = await staff(running, UserRole.ADMIN, "root")
        assert (await admin.post(LEDGER)).status_code == 409
        assert (await admin.get(EXPORTS)).status_code == 409
