"""What every adapter of the passwords port promises."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Literal

import pytest

from chatbill.adapters.security.passwords import Argon2Passwords
from chatbill.application.ports.passwords import Passwords, Verified
from chatbill.testing import PlainPasswords

ODD = ["p", "correct horse battery staple", "пароль", "🔑" * 300, "with\0nul", "lone \ud800 surrogate", " spaces "]


@pytest.fixture(params=["argon2", "plain"])
def passwords(request: pytest.FixtureRequest) -> Iterator[Passwords]:
    if request.param == "plain":
        yield PlainPasswords()
        return
    # The weakest parameters: what is tested here does not depend on them.
    adapter = Argon2Passwords(memory_kib=8, passes=1)
    yield adapter
    adapter.close()


@pytest.mark.parametrize("password", ODD)
async def test_a_password_fits_its_own_hash(passwords: Passwords, password: str) -> None:
    assert await passwords.verify(password, await passwords.hash(password)) == Verified(ok=True, outdated=False)


@pytest.mark.parametrize("password", ODD)
async def test_another_password_does_not_fit(passwords: Passwords, password: str) -> None:
    stored = await passwords.hash(password)
    assert await passwords.verify(password + "x", stored) == Verified(ok=False)
    assert await passwords.verify("", stored) == Verified(ok=False)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
async def test_every_unicode_spelling_of_a_password_fits(
    passwords: Passwords, form: Literal["NFC", "NFD", "NFKC", "NFKD"]
) -> None:
    password = "pässword für ﬁnance ①"
    stored = await passwords.hash(password)
    assert await passwords.verify(unicodedata.normalize(form, password), stored) == Verified(ok=True)
    assert await passwords.verify(unicodedata.normalize(form, password) + "x", stored) == Verified(ok=False)


async def test_common_passwords_are_known(passwords: Passwords) -> None:
    assert passwords.is_common("12345678")
    assert not passwords.is_common("correct horse battery staple")


async def test_two_hashes_of_one_password_differ(passwords: Passwords) -> None:
    assert await passwords.hash("same") != await passwords.hash("same")


async def test_a_hash_does_not_hold_the_password(passwords: Passwords) -> None:
    assert "legible-password" not in await passwords.hash("legible-password")


async def test_nothing_fits_an_absent_hash(passwords: Passwords) -> None:
    assert await passwords.verify("anything", None) == Verified(ok=False)


@pytest.mark.parametrize(
    "stored", ["", "x", "$", "$2b$", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$", "ключ", "\0"]
)
async def test_nothing_fits_a_malformed_hash(passwords: Passwords, stored: str) -> None:
    assert await passwords.verify("anything", stored) == Verified(ok=False)
