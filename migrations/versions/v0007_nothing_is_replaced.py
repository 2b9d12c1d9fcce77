"""No row of the books is replaced, whichever program writes.

SQLite deletes a row that `INSERT OR REPLACE` is to make room for without asking the triggers that forbid it, unless
the connection has `recursive_triggers`, which only chatbill's own have. So the database looks itself, before a row
comes in, whether its keys are there already.

Compatible with: the programs of 0001 to 0006 run on after this step, as none of them does what is forbidden now.
Going back takes the rules away and nothing else.

Locks: on PostgreSQL, nothing changes. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEYS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "wallets": ((("id",), ""),),
    "holds": ((("id",), ""),),
    "interactions": ((("rowid",), ""), (("id",), ""), (("hold_id",), "")),
    "payments": ((("rowid",), ""), (("id",), "")),
    "ledger_entries": (
        (("wallet_id", "wallet_version"), ""),
        (("id",), ""),
        (("hold_id",), "kind = 'charge'"),
        (("payment_id",), "kind = 'top_up'"),
    ),
    "api_keys": ((("id",), ""), (("user_id", "name_key"), "revoked_at IS NULL")),
    "api_key_months": ((("api_key_id", "starts_at"), ""),),
}
"""What is unique in each table, and among which rows ("": all). A row may be given the number of another, too."""

NUMBERED = ("interactions", "payments")
"""Tables whose rows have a number that an UPDATE could set to another row's, and so replace it."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, keys in KEYS.items():
            come_in_anew(table, keys)
        for table in NUMBERED:
            keep_numbers(table)
        # Programs add one with ON CONFLICT DO NOTHING and look at what was there, so this one is no error.
        op.execute(
            "CREATE TRIGGER idempotency_keys_come_in_once BEFORE INSERT ON idempotency_keys FOR EACH ROW"
            f" WHEN {there('idempotency_keys', ('user_id', 'key'), '')} BEGIN SELECT RAISE(IGNORE); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER idempotency_keys_come_in_once")
        for table in reversed(NUMBERED):
            op.execute(f"DROP TRIGGER {table}_keep_their_numbers")
        for table in reversed(KEYS):
            op.execute(f"DROP TRIGGER {table}_come_in_anew")


def come_in_anew(table: str, keys: tuple[tuple[tuple[str, ...], str], ...]) -> None:
    """Refuse a row whose key is there already, in the words that SQLite has for it."""
    refusals = " ".join(
        f"SELECT RAISE(ABORT, 'a row is never replaced: {', '.join(f'{table}.{column}' for column in columns)}')"
        f" WHERE {there(table, columns, among)};"
        for columns, among in keys
    )
    op.execute(f"CREATE TRIGGER {table}_come_in_anew BEFORE INSERT ON {table} FOR EACH ROW BEGIN {refusals} END")


def keep_numbers(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_keep_their_numbers BEFORE UPDATE OF rowid, _rowid_, oid ON {table} FOR EACH ROW"
        f" BEGIN SELECT RAISE(ABORT, 'the number of a row never changes: {table}'); END"
    )


def there(table: str, columns: tuple[str, ...], among: str) -> str:
    same = " AND ".join(f"{column} = NEW.{column}" for column in columns)
    if among:
        same = f"NEW.{among} AND {among} AND {same}"
    return f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - the words of this file
