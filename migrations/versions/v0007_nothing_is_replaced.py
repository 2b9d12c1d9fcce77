"""No row of the books is replaced, whichever program writes, and a wallet stays with its user.

SQLite deletes a row that `INSERT OR REPLACE` is to make room for without asking the triggers that forbid it, unless
the connection has `recursive_triggers`, which only chatbill's own have. So the database looks itself, before a row
comes in, whether its keys are there already.

Compatible with: the programs of 0001 to 0006 run on after this step, as none of them does what is forbidden now.
Going back takes the rules away and nothing else. No program ever gave two users one wallet; where somebody did so by
hand, the step fails and names it, and it must be put right first.

Locks: on PostgreSQL, the new index keeps writers out of `users` while that is read once. On SQLite, writers wait for
the step, which reads the users.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WALLET = "uq_users_wallet_id"

FORBIDDEN = (
    (
        "users_keep_their_wallet",
        "UPDATE OF id, wallet_id",
        "WHEN (OLD.id <> NEW.id OR OLD.wallet_id <> NEW.wallet_id)",
        "whose wallet it is never changes",
    ),
    ("users_stay", "DELETE", "", "a user is disabled, never deleted"),
)
"""Of users, on both databases: name of the trigger, what is done to a row, when that is forbidden ("": always), why."""

KEYS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "wallets": ((("id",), ""),),
    "users": (
        (("username_key",), ""),
        (("email_key",), ""),
        (("wallet_id",), ""),
        (("id",), ""),
        (("rowid",), ""),
    ),
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

NUMBERED = ("users", "interactions", "payments")
"""Tables whose rows have a number that an UPDATE could set to another row's, and so replace it."""


def upgrade() -> None:
    op.drop_index("ix_users_wallet_id", "users")
    op.create_index(WALLET, "users", ["wallet_id"], unique=True)
    for name, event, when, words in FORBIDDEN:
        forbid(name, event, when, words)
    if not is_postgres():
        for table, keys in KEYS.items():
            come_in_anew(table, keys)
        for table in NUMBERED:
            keep_numbers(table)
        keep_names()
        # Programs add one with ON CONFLICT DO NOTHING and look at what was there, so this one is no error.
        op.execute(
            "CREATE TRIGGER idempotency_keys_come_in_once BEFORE INSERT ON idempotency_keys FOR EACH ROW"
            f" WHEN {there('idempotency_keys', ('user_id', 'key'), '')} BEGIN SELECT RAISE(IGNORE); END"
        )


def downgrade() -> None:
    if not is_postgres():
        op.execute("DROP TRIGGER idempotency_keys_come_in_once")
        op.execute("DROP TRIGGER users_keep_apart")
        for table in reversed(NUMBERED):
            op.execute(f"DROP TRIGGER {table}_keep_their_numbers")
        for table in reversed(KEYS):
            op.execute(f"DROP TRIGGER {table}_come_in_anew")
    for name, _, _, _ in reversed(FORBIDDEN):
        op.execute(f"DROP TRIGGER {name}" + (" ON users" if is_postgres() else ""))
    if is_postgres():
        op.execute("DROP TRIGGER users_stay_together ON users")
    op.drop_index(WALLET, "users")
    op.create_index("ix_users_wallet_id", "users", ["wallet_id"])


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def forbid(name: str, event: str, when: str, words: str) -> None:
    """As in 0001, whose function for PostgreSQL serves here too."""
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{words}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON users FOR EACH ROW {when} {body}")
    if event == "DELETE" and is_postgres():
        body = "EXECUTE FUNCTION chatbill_forbid('users is never emptied')"
        op.execute(f"CREATE TRIGGER {name}_together BEFORE TRUNCATE ON users FOR EACH STATEMENT {body}")


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


def keep_names() -> None:
    """UPDATE OR REPLACE would put a user in the place of another one of the same name or address."""
    refusals = " ".join(
        f"SELECT RAISE(ABORT, 'a row is never replaced: users.{key}') WHERE EXISTS"  # noqa: S608 - our own words
        f" (SELECT 1 FROM users WHERE {key} = NEW.{key} AND id <> OLD.id);"
        for key in ("username_key", "email_key")
    )
    op.execute(
        "CREATE TRIGGER users_keep_apart BEFORE UPDATE OF username_key, email_key ON users FOR EACH ROW"
        f" BEGIN {refusals} END"
    )


def there(table: str, columns: tuple[str, ...], among: str) -> str:
    same = " AND ".join(f"{column} = NEW.{column}" for column in columns)
    if among:
        same = f"NEW.{among} AND {among} AND {same}"
    return f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - the words of this file
