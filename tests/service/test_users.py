"""Commands for the accounts of users while the service runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.service.process import Service

ROOT = ("admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin")
ON_RECORD = ("--by", "root", "--reason", "Sells the account")


@pytest.mark.slow
async def test_an_account_is_suspended_activated_signed_out_and_adjusted_by_the_command_line(
    start: Callable[..., Service],
) -> None:
    service = start()
    assert service.run(*ROOT, stdin="correct horse battery\n").returncode == 0
    token = await service.person("alice")
    async with service.client(token) as client:
        assert (await client.get("/auth/me")).status_code == 200
        done = service.run("users", "suspend", "alice", *ON_RECORD)
        assert (done.returncode, done.stdout) == (0, "alice is suspended and signed out everywhere.\n")
        assert (await client.get("/auth/me")).status_code == 401
    listed = [json.loads(line) for line in service.run("users", "list", "--json").stdout.splitlines()]
    assert [(user["username"], user["state"]) for user in listed] == [("alice", "suspended"), ("root", "active")]
    assert service.run("users", "activate", "alice", *ON_RECORD).stdout == "alice is active.\n"
    assert "alice@example.org, user, active\n    100 credits, made " in service.run("users", "show", "alice").stdout
    assert service.run("users", "sign-out", "alice", *ON_RECORD).stdout.endswith("ended: 0.\n")
    assert service.run("users", "suspend", "root", *ON_RECORD).stderr.endswith(
        "Another member of the staff must do this.\n"
    )
    small = service.run("users", "credits", "alice", *ON_RECORD, "--", "-50")
    assert small.stdout == "alice has 50 credits now.\n", small.stderr


@pytest.mark.slow
async def test_a_password_link_sets_a_new_password_once(start: Callable[..., Service]) -> None:
    service = start()
    assert service.run(*ROOT, stdin="correct horse battery\n").returncode == 0
    token = await service.person("alice")
    made = service.run("users", "password-link", "alice", *ON_RECORD, "--url", "https://chat.example.org/pre/")
    address, _, secret = made.stdout.strip().partition("#")
    assert address == "https://chat.example.org/pre/web/reset"
    assert "It works until 20" in made.stderr
    async with service.client(token) as client:
        body = {"token": secret, "new_password": "analytical engine 1"}
        assert (await client.post("/auth/password/reset", json=body)).status_code == 204
        assert (await client.post("/auth/password/reset", json=body)).status_code == 422
        assert (await client.get("/auth/me")).status_code == 401
        login = {"username": "alice", "password": "analytical engine 1"}
        assert (await client.post("/auth/login", json=login)).status_code == 200
    assert secret not in "".join(service.output)
    nobody = service.run("users", "password-link", "carol", *ON_RECORD)
    assert (nobody.returncode, "The user carol was not found" in nobody.stderr) == (1, True)


def test_a_large_adjustment_is_confirmed_first(start: Callable[..., Service]) -> None:
    service = start()
    assert service.run(*ROOT, stdin="correct horse battery\n").returncode == 0
    large = ("users", "credits", "root", "100001", *ON_RECORD)
    for answer in ("", "n\n"):
        refused = service.run(*large, stdin=answer)
        assert refused.returncode == 1
        assert "Adjust the wallet of root by 100,001 credits?" in refused.stdout
    assert service.run(*large, stdin="y\n").stdout.endswith("root has 100,101 credits now.\n")
    assert service.run(*large, "--yes").stdout == "root has 200,102 credits now.\n"
