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
        again = await client.post("/auth/password/reset", json=body | {"new_password": "difference engine 2"})
        assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "token")
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


@pytest.mark.slow
async def test_people_codes_and_the_trail_by_the_command_line(start: Callable[..., Service]) -> None:
    service = start()
    assert service.run(*ROOT, stdin="correct horse battery\n").returncode == 0
    token = await service.person("alice")
    by = ("--by", "root")
    made = service.run("users", "create", "carol", "carol@example.org", "--role", "support", *by)
    assert "/web/reset#" in made.stdout, made.stderr
    assert service.run("users", "role", "carol", "viewer", *ON_RECORD).stdout == "carol has the role viewer now.\n"
    refused = service.run("users", "suspend", "alice", "--by", "carol", "--reason", "x")
    assert "does not have the permission manage_people" in refused.stderr
    found = service.run("users", "list", "--search", "CAR", "--role", "viewer", "--json").stdout
    assert [json.loads(line)["username"] for line in found.splitlines()] == ["carol"]
    code = service.run("codes", "create", "50", "--uses", "2", *by).stdout.strip()
    async with service.client(token) as client:
        redeemed = await client.post("/billing/redeem", json={"code": code})
        assert (redeemed.status_code, redeemed.json()["balance"]) == (201, 150)
    (listed,) = [json.loads(line) for line in service.run("codes", "list", *by, "--json").stdout.splitlines()]
    assert (listed["used"], listed["uses"]) == (1, 2)
    assert service.run("codes", "withdraw", listed["id"], *ON_RECORD).returncode == 0
    assert service.run("users", "erase", "alice", *ON_RECORD, stdin="n\n").returncode == 1
    assert service.run("users", "erase", "alice", "--yes", *ON_RECORD).stdout == "alice is erased.\n"
    records = [json.loads(line) for line in service.run("audit", "--json").stdout.splitlines()]
    actions = [record["action"] for record in reversed(records)]
    assert actions[:2] == ["user.created", "account.registered"]
    assert actions[-2:] == ["code.withdrawn", "user.erased"]
    assert records[0]["actor_name"] == "root"
    assert "Sells the account" in service.run("audit", "--actor", "root", "--action", "user.erased").stdout
    assert service.run("audit", "--to", "2020-01-01").stdout == ""
    assert service.run("ledger", "verify").returncode == 0
