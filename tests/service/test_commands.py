"""The commands of the command line."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.process import Service


@pytest.fixture
def operator(tmp_path: Path) -> Service:
    return Service(tmp_path / "data")


def test_an_administrator_is_made_with_a_password_from_standard_input(operator: Service) -> None:
    arguments = ("admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin")
    made = operator.run(*arguments, stdin="correct horse battery\n")
    assert (made.returncode, made.stdout) == (0, "Administrator root was made, with 100 credits.\n")
    again = operator.run(*arguments, stdin="correct horse battery\n")
    assert again.returncode == 1
    assert "taken" in again.stderr


def test_a_weak_password_is_explained(operator: Service) -> None:
    done = operator.run(
        "admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin", stdin="short\n"
    )
    assert done.returncode == 1
    assert "password: must be 8 to 256 characters long" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_names_the_rules_that_hold(operator: Service) -> None:
    operator.run("db", "upgrade")
    done = operator.run("ledger", "verify")
    assert done.returncode == 0
    assert "proved: the sum over all accounts is zero" in done.stdout
    assert "The ledger is consistent." in done.stdout


@pytest.mark.parametrize(("payments", "announced"), [("auto", True), ("none", False)])
def test_a_sandbox_is_announced_at_the_start(start: Callable[..., Service], payments: str, *, announced: bool) -> None:
    service = start(payments=payments)
    assert ("payments are a sandbox" in "".join(service.output)) is announced
    service.stop()


def test_verify_does_not_make_a_missing_database(operator: Service) -> None:
    done = operator.run("ledger", "verify")
    assert done.returncode == 2
    assert "There is no database at" in done.stderr
    assert not operator.data_dir.exists()


def test_verify_names_every_difference(operator: Service) -> None:
    operator.run(
        "admin",
        "create",
        "--username",
        "root",
        "--email",
        "root@example.org",
        "--password-stdin",
        stdin="correct horse battery\n",
    )
    database = operator.data_dir / "chatbill.sqlite3"
    with closing(sqlite3.connect(database)) as connection, connection:
        # The triggers of the database forbid this, so they are dropped first.
        rules = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for trigger, _ in rules:
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE wallets SET posted = posted + 7")
        for _, words in rules:
            connection.execute(words)
    done = operator.run("ledger", "verify")
    assert done.returncode == 1
    assert "owns 107 at version 1; its entries say 100 at version 1" in done.stdout
    assert "they sum to 7" in done.stdout
    verdict = json.loads(operator.run("ledger", "verify", "--json").stdout.splitlines()[-1])
    assert (verdict["agrees"], verdict["differences"]) == (False, 2)


def test_the_schema_is_made_once_and_its_revision_is_printed(operator: Service) -> None:
    assert "no schema yet" in operator.run("db", "current").stdout
    assert operator.run("db", "upgrade").returncode == 0
    assert operator.run("db", "upgrade").returncode == 0
    assert "no schema" not in operator.run("db", "current").stdout


def test_without_migrations_at_the_start_only_one_command_changes_the_schema(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    operator = Service(tmp_path / "data", {"CHATBILL_MIGRATE_AT_START": "false"})
    served = operator.run("serve", "--port", "0", "--mode", "api")
    assert served.returncode == 1
    assert "Run `chatbill db upgrade`" in served.stderr
    assert operator.run("db", "current").stdout.startswith("no schema yet (this version needs ")
    assert operator.run("db", "upgrade").returncode == 0
    assert operator.run("db", "current").stdout.strip().isdecimal()
    assert start(migrate_at_start="false").stop() == 0


def test_models_are_listed_with_their_prices(operator: Service) -> None:
    listed = operator.run("models", "list")
    assert listed.returncode == 0
    assert "demo-mini" in listed.stdout
    assert "engine   " in listed.stdout
    unknown = operator.run("models", "pull", "demo-max")
    assert unknown.returncode == 1
    assert "choose one of: demo-mini, demo-pro" in unknown.stderr


def test_a_model_that_the_chosen_engine_does_not_run_is_reported_before_anything_is_fetched(
    operator: Service,
) -> None:
    operator.environment |= {"CHATBILL_ENGINE": "local", "CHATBILL_LOCAL_ENGINE": "llama_cpp"}
    served = operator.run("serve", "--port", "0", "--models", "gemma")
    checked = operator.run("models", "check", "--no-run", "--models", "gemma")
    pulled = operator.run("models", "pull", "gemma-3-1b-it", "--models", "gemma")

    assert (served.returncode, checked.returncode, pulled.returncode) == (1, 1, 1)
    for told in (served.stderr, checked.stdout, pulled.stderr):
        assert "gemma-3-1b-it has no GGUF file, which llama.cpp needs: set CHATBILL_LOCAL_ENGINE to auto" in told
        assert "Traceback" not in told


NOWHERE = """
[[models]]
id = "remote"
name = "On a server that is not there"
tier = "mini"
price = { per_reply = 1 }
context_tokens = 2048
max_reply_tokens = 512
source = { kind = "server", url = "http://127.0.0.1:9/v1", api_key_env = "A_KEY" }

[[models]]
id = "lost"
name = "In a folder that is not there"
tier = "pro"
price = { per_reply = 1 }
context_tokens = 2048
max_reply_tokens = 512
source = { kind = "folder", folder = "nope" }
"""


def test_models_that_cannot_be_used_give_exit_code_1(operator: Service) -> None:
    catalogue = operator.data_dir.parent / "nowhere.toml"
    catalogue.write_text(NOWHERE, encoding="utf-8")
    unset = operator.run("models", "check", "--no-run", "--models", str(catalogue))
    operator.environment["A_KEY"] = "secret"
    asked = operator.run("models", "check", "--json", "--models", str(catalogue))
    remote, lost = [json.loads(line) for line in asked.stdout.splitlines()]

    assert unset.returncode == asked.returncode == 1
    assert "A_KEY is not set" in unset.stdout
    assert "remote is not available: its server cannot be reached" in remote["trouble"]
    assert "Connect call failed" in asked.stderr
    assert "nope holds no model that can be loaded: there is no such folder" in lost["trouble"]
    assert "secret" not in asked.stdout + asked.stderr


def test_an_invalid_setting_is_named_by_its_variable(operator: Service) -> None:
    operator.environment["CHATBILL_WELCOME_CREDITS"] = "many"
    done = operator.run("db", "current")
    assert done.returncode == 1
    assert "CHATBILL_WELCOME_CREDITS" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_owner_can_read_the_key_and_the_database(operator: Service) -> None:
    operator.run(
        "admin",
        "create",
        "--username",
        "root",
        "--email",
        "root@example.org",
        "--password-stdin",
        stdin="correct horse battery\n",
    )
    assert (operator.data_dir / "chatbill.sqlite3").stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_a_running_service_is_backed_up_and_restored_once_it_has_stopped(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service, copy = start(), tmp_path / "copy"
    async with service.client(await service.person()) as client:
        body = {"model": "demo-mini", "message": "hello [[sleep:0.5]]"}
        sending = [asyncio.create_task(client.post("/chat/message", json=body)) for _ in range(19)]
        slow = {"model": "demo-mini", "message": "it is still written when the copy is made [[sleep:8]]"}
        sending.append(asyncio.create_task(client.post("/chat/message", json=slow)))
        await asyncio.sleep(0.2)
        made = await asyncio.to_thread(service.run, "db", "backup", str(copy))
        assert (made.returncode, made.stderr) == (0, "")
        assert {answer.status_code for answer in await asyncio.gather(*sending)} == {200}
        refused = await asyncio.to_thread(service.run, "db", "restore", str(copy), "--force")
        assert refused.returncode == 1
        assert "Stop it first" in refused.stderr
    service.stop()
    assert service.verify()["charges"] == 20
    unforced = service.run("db", "restore", str(copy))
    assert unforced.returncode == 1
    assert "--force" in unforced.stderr
    done = service.run("db", "restore", str(copy), "--force")
    assert done.returncode == 0, done.stderr
    assert "1 wallets" in done.stdout
    assert "now ended, free: 0." not in done.stdout
    verdict = service.verify()
    assert verdict["charges"] <= 20
    assert verdict["pending_holds"] == 0, "nobody writes them any more"
    service.start()
    async with service.client() as client:
        signed_in = await client.post("/auth/login", json={"username": "alice", "password": "correct horse battery"})
        assert signed_in.status_code == 200


def test_backup_of_postgresql_names_the_tools_of_postgresql(operator: Service, tmp_path: Path) -> None:
    operator.environment["CHATBILL_DATABASE_URL"] = "postgresql://alice:s3cret@db.example/books"
    for command, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        done = operator.run("db", command, str(tmp_path / "copy"))
        assert done.returncode == 1
        assert tool in done.stderr
        assert "s3cret" not in done.stderr


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "postgresql://alice:s3@cret@host/books"])
def test_an_invalid_database_address_is_named_by_its_variable(operator: Service, address: str) -> None:
    operator.environment["CHATBILL_DATABASE_URL"] = address
    done = operator.run("db", "current")
    assert done.returncode == 1
    assert "CHATBILL_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "cret" not in done.stderr
