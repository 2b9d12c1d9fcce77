"""Addresses of databases: a password that is not percent-encoded is reported, and no piece of it is repeated."""

from __future__ import annotations

import pytest

from chatbill.adapters.persistence import check_address
from chatbill.adapters.persistence.addresses import parsed


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://alice:s3@cret/w@host/x",
        "postgresql://alice:s3@cret?t=w@host/x",
        "postgresql://alice:s3@cret:55/t@host/x",
        "postgresql://al/ice:s3cret@host/x",
        "postgresql+psycopg://alice:s3@cret@host/x",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_refused_and_no_piece_of_it_is_printed(address: str) -> None:
    with pytest.raises(ValueError, match="write @ as %40") as caught:
        check_address(address)
    assert "cret" not in str(caught.value)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("postgresql://alice:s3%40cret%2Fw@host/x", "host"),
        ("postgresql://alice:s3/cret@host/x", "host"),
        ("postgresql://alice:s3?t=cret@host/x", "host"),
        ("postgresql://host/a%40b", "host"),
        ("postgresql://alice@host/x?password=s3@cret&connect_timeout=9", "host"),
    ],
)
def test_an_address_that_can_be_read_in_one_way_only_is_accepted(address: str, host: str) -> None:
    check_address(address)
    assert parsed(address).host == host


def test_the_path_of_an_sqlite_file_may_contain_an_at_sign() -> None:
    check_address("sqlite:////home/alice@example/x@y.sqlite3")
