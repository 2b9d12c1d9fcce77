"""Rows of SQLite cannot be replaced, by any program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver
from tests.adapters.persistence.sql.databases import insert, sqlite_engine
from tests.adapters.persistence.sql.rules.books import BOOKS


def _replaced(table: str, id_: str, **changes: Any) -> str:
    """The row once more, changed, in place of whatever stands in its way."""
    old: dict[str, Any] = next(row for name, row in BOOKS if name == table and row["id"] == id_)
    row = old | changes
    values = ", ".join("NULL" if value is None else repr(value) for value in row.values())
    return f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({values})"  # noqa: S608 - a test's own words


_AGAIN = "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"
_NEW_NAMES = {"id": "x", "username_key": "x", "email_key": "x", "wallet_id": "unused"}
_NEW = {"id": "x", "wallet_version": 7}
REPLACING = [
    *(
        (f"a row is never replaced: {table}", _AGAIN.format(table))
        for table in (
            "wallets",
            "users",
            "holds",
            "interactions",
            "payments",
            "ledger_entries",
            "api_keys",
            "api_key_months",
            "outbox",
            "redeem_codes",
            "audit_trail",
            "audit_trail_counts",
        )
    ),
    (
        "a row is never replaced: ledger_entries.payment_id",
        _replaced("ledger_entries", "return", **_NEW),
    ),
    ("a row is never replaced: ledger_entries.id", _replaced("ledger_entries", "charge", wallet_version=7)),
    (
        "a row is never replaced: ledger_entries.hold_id",
        _replaced("ledger_entries", "charge", **_NEW),
    ),
    (
        "a row is never replaced: ledger_entries.payment_id",
        _replaced("ledger_entries", "bought", **_NEW),
    ),
    ("a code is redeemed once", _replaced("ledger_entries", "redeemed", **_NEW)),
    ("a row is never replaced: redeem_codes", _replaced("redeem_codes", "code", id="x")),
    ("a row is never replaced: interactions.hold_id", _replaced("interactions", "ended", id="x")),
    ("a row is never replaced: interactions.rowid", _replaced("interactions", "ended", rowid=1, id="x", hold_id="x")),
    *(
        (f"a row is never replaced: users.{key}", _replaced("users", "u", **_NEW_NAMES | {key: taken}))
        for key, taken in (
            ("username_key", "bob"),
            ("email_key", "b@example.org"),
            ("wallet_id", "other"),
            ("rowid", 2),
        )
    ),
    (
        "a row is never replaced: users.username_key",
        "UPDATE OR REPLACE users SET username_key = 'bob' WHERE id = 'u'",
    ),
    (
        "a row is never replaced: users.email_key",
        "UPDATE OR REPLACE users SET email_key = 'b@example.org' WHERE id = 'u'",
    ),
    ("the number of a row never changes: users", "UPDATE OR REPLACE users SET _rowid_ = 1 WHERE id = 'other'"),
    ("a row is never replaced: payments.rowid", _replaced("payments", "paid", rowid=1, id="x")),
    ("a row is never replaced: api_keys.user_id, api_keys.name_key", _replaced("api_keys", "k", id="x")),
    (
        "the number of a row never changes: interactions",
        "UPDATE OR REPLACE interactions SET rowid = 1 WHERE id = 'ended'",
    ),
    ("the number of a row never changes: payments", "UPDATE OR REPLACE payments SET oid = 1 WHERE id = 'paid'"),
    (
        "a row is never replaced: wallets",
        (
            "INSERT INTO wallets SELECT * FROM wallets WHERE true"
            " ON CONFLICT (id) DO UPDATE SET overdraft = overdraft + 1"
        ),
    ),
    (
        "",
        (
            "INSERT OR REPLACE INTO idempotency_keys (user_id, key, fingerprint, created_at, subject_id)"
            " SELECT user_id, key, 'x', created_at, 'x' FROM idempotency_keys"
        ),
    ),
]
"""What an SQLite shell could do; without words it does nothing, as a key that is there already is no error."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled SQLite database, for programs that are not chatbill."""
    folder = tmp_path_factory.mktemp("replaced")
    with sqlite_engine(folder) as engine, engine.begin() as connection:
        for table, row in BOOKS:
            insert(connection, table, row)
        return Path(str(engine.url.database))


@pytest.mark.parametrize(("words", "sql"), REPLACING, ids=range(len(REPLACING)))
def test_whatever_program_replaces_a_row_of_sqlite_is_refused(file: Path, words: str, sql: str) -> None:
    """Such a program looks after neither references nor triggers of triggers."""

    shell = load_driver().connect(file, isolation_level=None)

    def rows() -> list[list[Any]]:
        return [shell.execute(f"SELECT * FROM {table}").fetchall() for table in metadata.tables]  # noqa: S608

    shell.execute("BEGIN")
    before = rows()
    try:
        if words:
            with pytest.raises(load_driver().IntegrityError, match=words):
                shell.execute(sql)
        else:
            shell.execute(sql)
        assert rows() == before
    finally:
        shell.close()
