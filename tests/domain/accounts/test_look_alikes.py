"""Which usernames are refused because they look like others, and which e-mail addresses are one."""

# ruff: noqa: RUF001 - the look-alikes are what is tested

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.accounts.look_alikes import is_staff_name, look_alikes, mixes_scripts
from chatbill.domain.accounts.users import checked_account, email_key, login_keys, name_key
from chatbill.domain.shared.errors import InvalidRequest

LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["аlice", "bοb", "pаypаl", "alicе-1", "ρavel", "иvan", "ali\u05d0"])
def test_a_name_that_mixes_scripts_is_refused(name: str) -> None:
    assert mixes_scripts(name)
    with pytest.raises(InvalidRequest) as refused:
        checked_account(name, "a@example.org", "correct horse battery")
    assert [(fault.field, fault.description.code) for fault in refused.value.errors] == [("username", "mixed_scripts")]


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Álice-1",
        "алиса",
        "Ελένη",
        "a.b_c",
        "山田たろう",
        "ひらがなカタカナー",
        "김철수",
        "山田-taro",
        "xyz٣",
    ],
)
def test_a_name_in_one_script_or_in_east_asian_and_latin_letters_is_accepted(name: str) -> None:
    assert not mixes_scripts(name)
    checked_account(name, "a@example.org", "correct horse battery")


@pytest.mark.parametrize(
    "name",
    [
        "admin",
        "Admin",
        "ADMINISTRATOR",
        "root",
        "support",
        "staff",
        "account",
        "Accounts",
        "billing",
        "security-team",
        "payments",
        "helpdesk",
        "no-reply",
        "postmaster",
        "abuse",
        "official",
        "moderator",
        "system",
        "chatbill",
        "a.d.m.i.n",
        "ad-min",
        "_admin_",
        "admin1",
        "adm1n",
        "r00t",
        "5upport",
        "supp0rt",
        "ádmin",
        "ａｄｍｉｎ",
        "аdmin",
        "chatbill-support",
        "admin.team",
        "the_admin",
        "chatbi11",
        "admın",
        "adrnin",
        "ѕуѕтем",
        "rооt",
        "admins",
        "mοderator",
    ],
)
def test_a_name_of_staff_is_refused_with_look_alikes_and_separators(name: str) -> None:
    assert is_staff_name(name_key(name))
    with pytest.raises(InvalidRequest):
        checked_account(name, "a@example.org", "correct horse battery")


@pytest.mark.parametrize(
    "name",
    ["alice", "adam", "rooted", "administrate", "supporter", "ecosystem", "badminton", "rosa", "accountant", "help.me"],
)
def test_a_name_that_only_contains_a_name_of_staff_is_accepted(name: str) -> None:
    assert not is_staff_name(name_key(name))


def test_an_administrator_may_have_a_name_of_staff() -> None:
    assert checked_account("admin", "a@example.org", "correct horse battery", staff=True).username == "admin"


@pytest.mark.parametrize(
    ("one", "other"), [("coco", "сосо"), ("POP", "РОР"), ("alice", "аӏісе"), ("alı", "ali"), ("ovo", "ονο")]
)
def test_names_that_look_alike_in_two_scripts_are_known_in_both_directions(one: str, other: str) -> None:
    one, other = name_key(one), name_key(other)
    assert other in look_alikes(one)
    assert one in look_alikes(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "aIice"), ("alice", "A1ICE"), ("bob", "b0b"), ("william", "wiIIiam")],
)
def test_letters_and_digits_of_one_shape_are_known_in_both_directions(one: str, other: str) -> None:
    one, other = name_key(one), name_key(other)
    assert other in look_alikes(one)
    assert one in look_alikes(other)


def test_two_letters_in_the_shape_of_one_are_known() -> None:
    assert {"maria"} <= look_alikes("rnaria")
    assert {"walter"} <= look_alikes("vvalter")


@given(st.text("il1o0", min_size=1, max_size=50))
def test_a_long_name_has_not_many_look_alikes(name: str) -> None:
    assert len(look_alikes(name)) < 200


def test_names_that_differ_in_digits_are_other_names() -> None:
    assert "person-10" not in look_alikes("person-01")


def test_other_names_have_no_look_alikes() -> None:
    assert look_alikes("алиса") == frozenset()
    assert look_alikes("fruf") == frozenset()


@given(LETTERS)
def test_a_name_is_not_its_own_look_alike(name: str) -> None:
    key = name_key(name)
    assert key not in look_alikes(key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@bücher.example", "Ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@XN--BCHER-KVA.EXAMPLE"),
        ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
        ("ann@a。example", "ann@a.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@βόλος.example", "ann@xn--nxasmm1c.example"),
    ],
)
def test_a_host_and_its_punycode_are_one_address(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)
    assert set(login_keys(one)) & set(login_keys(other))


def test_other_hosts_and_local_parts_stay_apart() -> None:
    assert email_key("ann@bucher.example") != email_key("ann@bücher.example")
    assert email_key("xn--bcher-kva@example.org") == "xn--bcher-kva@example.org"
    assert email_key("ann@xn--\u00e4.example") == "ann@xn--\u00e4.example"


def test_a_part_of_a_host_that_is_too_long_is_not_encoded() -> None:
    # Punycode takes the square of the length, and each sign-in looks a name up.
    address = "ann@" + "\u00fc" * 64 + ".example"
    assert login_keys(address) == (address,)


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_key_of_any_address_is_valid_unicode_and_its_own_key(local: str, host: str) -> None:
    with suppress(InvalidRequest):
        address = checked_account("alice", f"{local}@xn--{host}.example", "correct horse battery").email
        key = email_key(address)
        assert key.encode()
