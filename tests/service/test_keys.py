"""Commands for API keys while the service runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.process import Service

ROOT = ("admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin")
ON_RECORD = ("--by", "root", "--reason", "It was in a public repository")


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    """Return a running service with an administrator."""
    running = start()
    assert running.run(*ROOT, stdin="correct horse battery\n").returncode == 0
    return running


async def key_of(service: Service, token: str, name: str) -> str:
    async with service.client(token) as client:
        made = await client.post("/auth/api-keys", json={"name": name, "monthly_cap": 20})
        return str(made.raise_for_status().json()["key"])


def opens(service: Service, key: str) -> bool:
    return httpx.get(f"{service.url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def listed(service: Service, *options: str) -> list[dict[str, Any]]:
    done = service.run("keys", "list", "alice", "--json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
async def test_a_revoked_key_is_rejected_at_once_and_the_administrator_and_the_reason_are_recorded(
    service: Service,
) -> None:
    alice = await service.person("alice")
    leaked, other = await key_of(service, alice, "nightly job"), await key_of(service, alice, "CI")
    assert opens(service, leaked)
    output = service.run("keys", "list", "Alice@example.org").stdout
    assert "nightly job  cb_" in output
    assert "0 of 20 credits this month, last used 20" in output
    assert leaked[-43:] not in output
    done = service.run("keys", "revoke", leaked, *ON_RECORD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nightly job of alice is revoked: cb_")
    assert leaked[-43:] not in done.stdout
    assert (opens(service, leaked), opens(service, other)) == (False, True)
    assert [key["name"] for key in listed(service)] == ["CI"]
    ended, _ = listed(service, "--all")
    assert (ended["revoked_by"], ended["revoked_why"], ended["active"]) == ("root", ON_RECORD[-1], False)
    assert f"by root: {ON_RECORD[-1]}" in service.run("keys", "list", "alice", "--all").stdout


@pytest.mark.slow
async def test_all_keys_of_a_user_are_revoked_together_and_repeatedly(service: Service) -> None:
    alice, bob = await service.person("alice"), await service.person("bob")
    keys = [await key_of(service, alice, name) for name in ("a", "b", "c")]
    bobs = await key_of(service, bob, "a")
    done = service.run("keys", "revoke", "--all-of", "alice", "--json", *ON_RECORD)
    assert [json.loads(line)["was_revoked"] for line in done.stdout.splitlines()] == [False] * 3
    assert not any(opens(service, key) for key in keys)
    assert opens(service, bobs)
    assert service.run("keys", "list", "alice").stdout == "All API keys of alice are revoked; --all lists them.\n"
    assert service.run("keys", "list", "root").stdout == "root has no API keys.\n"
    again = service.run("keys", "revoke", "--all-of", "alice", *ON_RECORD)
    assert (again.returncode, again.stdout) == (0, "There was no key to revoke.\n")
    by_beginning = service.run("keys", "revoke", keys[0][:-43], *ON_RECORD)
    assert "a of alice was revoked before" in by_beginning.stdout


@pytest.mark.slow
async def test_invalid_commands_are_explained_and_change_nothing(service: Service) -> None:
    key = await key_of(service, await service.person("alice"), "CI")
    for arguments, message in (
        (("revoke", key, "cb_none_", *ON_RECORD), "The API key cb_none was not found"),
        (("revoke", "--all-of", "nobody", *ON_RECORD), "The user nobody was not found"),
        (("revoke", key, "--by", "alice", "--reason", "because"), "No member of the staff is called alice"),
        (("revoke", key, "--by", "root", "--reason", " "), "reason: must be 1 to 500 printable characters"),
        (("revoke", key, "--by", "root"), "Missing option '--reason'"),
        (("revoke", *ON_RECORD), "Name a KEY, or a user with --all-of."),
        (("revoke", "cb_", *ON_RECORD), "a key begins with cb_"),
        (("list", "nobody"), "The user nobody was not found"),
    ):
        done = service.run("keys", *arguments)
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert opens(service, key)


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    nowhere = Service(tmp_path / "data")
    for arguments in (("list", "alice"), ("revoke", "--all-of", "alice", *ON_RECORD)):
        done = nowhere.run("keys", *arguments)
        assert done.returncode == 1
        assert "There is no database at" in done.stderr
    assert not nowhere.data_dir.exists()
