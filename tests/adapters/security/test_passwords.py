"""Argon2id and the bcrypt hashes of older systems."""

from __future__ import annotations

import asyncio
import logging
import statistics
import threading
import time
from collections.abc import Iterator

import bcrypt
import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.security.passwords import Argon2Passwords
from chatbill.application.ports.passwords import Verified


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    adapter = Argon2Passwords(memory_kib=64, passes=2)
    yield adapter
    adapter.close()


def old_hash(password: bytes, version: str = "2b") -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode().replace("$2b$", f"${version}$")


async def test_the_default_is_argon2id_at_least_as_owasp_recommends() -> None:
    adapter = Argon2Passwords()
    parameters = extract_parameters(await adapter.hash("secret"))
    adapter.close()
    assert parameters.type.name == "ID"
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (47_104, 1, 1)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)


async def test_a_hash_with_other_parameters_fits_and_is_outdated(passwords: Argon2Passwords) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret")
    assert await passwords.verify("secret", weaker) == Verified(ok=True, outdated=True)
    assert await passwords.verify("wrong", weaker) == Verified(ok=False)


@pytest.mark.parametrize("password", ["pa\u0308ssword", "ﬁnance①", "ａｂｃ"])  # noqa: RUF001 - not normalized
async def test_a_hash_of_a_password_as_it_was_typed_fits_and_is_outdated(
    passwords: Argon2Passwords, password: str
) -> None:
    before = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(password)
    assert await passwords.verify(password, before) == Verified(ok=True, outdated=True)
    assert await passwords.verify(password + "x", before) == Verified(ok=False)
    assert await passwords.verify(password, old_hash(password.encode())) == Verified(ok=True, outdated=True)


@pytest.mark.parametrize(
    ("password", "common"),
    [
        *[
            (common, True)
            for common in ("12345678", "password", "PassWord", "trustno1", "Password2024", "qwertyuiop!", "Chatbill1")
        ],
        *[(rare, False) for rare in ("correct horse battery", "difference engine 2", "password-98765", "")],
    ],
)
def test_common_passwords_are_known_with_a_short_ending_too(
    passwords: Argon2Passwords, password: str, *, common: bool
) -> None:
    assert passwords.is_common(password) is common


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
async def test_a_bcrypt_hash_fits_and_is_outdated(passwords: Argon2Passwords, version: str) -> None:
    assert await passwords.verify("secret", old_hash(b"secret", version)) == Verified(ok=True, outdated=True)
    assert await passwords.verify("wrong", old_hash(b"secret", version)) == Verified(ok=False)


@given(start=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=72, max_size=90), rest=st.text())
def test_bcrypt_reads_72_bytes_and_no_more(start: str, rest: str) -> None:
    adapter = Argon2Passwords(memory_kib=8, passes=1)
    stored = old_hash(start.encode()[:72])
    assert asyncio.run(adapter.verify(start + rest.replace("\ud800", ""), stored)) == Verified(ok=True, outdated=True)
    adapter.close()


@pytest.mark.parametrize("stored", ["$2b$04$short", "$2x$04$" + "a" * 53, "$2b$99$" + "a" * 53, "$2b$04$" + "é" * 53])
async def test_a_malformed_bcrypt_hash_is_logged_without_its_secret(
    passwords: Argon2Passwords, caplog: pytest.LogCaptureFixture, stored: str
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await passwords.verify("secret", stored) == Verified(ok=False)
    assert "password_hash_unreadable" in caplog.text
    assert stored[7:] not in caplog.text


async def test_no_more_than_the_allowed_number_hash_at_once(passwords: Argon2Passwords) -> None:
    await asyncio.gather(*(passwords.hash(str(number)) for number in range(20)))
    assert sum(thread.name.startswith("passwords") for thread in threading.enumerate()) <= 2


async def test_the_event_loop_goes_on_while_a_password_is_hashed() -> None:
    adapter = Argon2Passwords(memory_kib=65_536, passes=4)
    hashing = asyncio.create_task(adapter.hash("secret"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    adapter.close()
    assert turns >= 10


async def test_an_unknown_name_takes_as_long_as_a_wrong_password() -> None:
    adapter = Argon2Passwords(memory_kib=19_456, passes=2)
    stored = await adapter.hash("secret")

    async def seconds(hashed: str | None) -> float:
        start = time.perf_counter()
        await adapter.verify("wrong", hashed)
        return time.perf_counter() - start

    pairs = [(await seconds(stored), await seconds(None)) for _ in range(15)]
    adapter.close()
    wrong, unknown = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert 0.5 < unknown / wrong < 2
