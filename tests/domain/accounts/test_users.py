"""Which names, addresses and passwords are accepted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.accounts.users import checked_account, name_key
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvalidRequest

GOOD = {"username": "alice", "email": "alice@example.org", "password": "correct horse"}


def faults(**changed: str) -> dict[str, Description]:
    with pytest.raises(InvalidRequest) as refused:
        checked_account(*(GOOD | changed).values())
    return {error.field: error.description for error in refused.value.errors}


@pytest.mark.parametrize("username", ["alice", "Álice-1", "алиса", "a.b_c", "x" * 32])
def test_a_username_may_hold_letters_of_any_script(username: str) -> None:
    assert checked_account(*(GOOD | {"username": username}).values()).username == username


@pytest.mark.parametrize("username", ["", "ab", "x" * 33, "a b c", "al@ce", "alice\x00", "a\nbc", "<b>x</b>"])
def test_other_usernames_are_refused(username: str) -> None:
    assert set(faults(username=username)) == {"username"}


@pytest.mark.parametrize(
    "email", ["", "alice", "alice@", "@example.org", "a@b@example.org", "alice@example", "al ice@example.org", "a@.org"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert set(faults(email=email)) == {"email"}


@pytest.mark.parametrize("password", ["", "1234567", "x" * 257, "aaaaaaaaaa", "alice@example.org", "\ud800" * 9 + "b"])
def test_weak_and_unusable_passwords_are_refused(password: str) -> None:
    assert set(faults(password=password)) == {"password"}


def test_every_field_at_fault_is_named() -> None:
    assert set(faults(username="", email="", password="")) == {"username", "email", "password"}


def test_names_are_the_same_in_every_letter_case_and_spelling() -> None:
    assert name_key("Álice") == name_key(" a\u0301LICE ")
    assert name_key("straße") == name_key("STRASSE")


@given(st.text(), st.text(), st.text())
def test_any_text_is_either_accepted_or_refused_in_words(username: str, email: str, password: str) -> None:
    with suppress(InvalidRequest):
        account = checked_account(username, email, password)
        assert account.username.encode()
        assert account.email.encode()
        assert password.encode()
