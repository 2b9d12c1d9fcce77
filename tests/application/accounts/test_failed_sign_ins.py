"""Failed sign-ins in the log: the name can be recognised and not read."""

from __future__ import annotations

import logging

import pytest

from chatbill.application.accounts.sign_in import Credentials
from chatbill.domain.shared.errors import InvalidCredentials
from tests.kit.support import World, world


async def fails(here: World, login: str, address: str = "192.0.2.7") -> None:
    with pytest.raises(InvalidCredentials):
        await here.use_cases.accounts.sign_in(Credentials(login=login, password="guess 1 guess", address=address))


async def test_a_failed_sign_in_logs_the_hashed_name_and_the_address(caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    await here.person("alice")
    await fails(here, "Alice")
    await fails(here, "alice", address="192.0.2.8")
    await fails(here, "mallory")
    first, second, other = [record for record in caplog.records if record.getMessage() == "sign_in_failed"]
    assert first.levelno == logging.WARNING
    assert [vars(record)["address"] for record in (first, second)] == ["192.0.2.7", "192.0.2.8"]
    assert vars(first)["reason"] == "invalid_credentials"
    assert vars(first)["login_hash"] == vars(second)["login_hash"] != vars(other)["login_hash"]
    for word in ("alice", "mallory", "guess"):
        assert word not in " ".join(str(vars(record)) for record in (first, second, other)).casefold()
