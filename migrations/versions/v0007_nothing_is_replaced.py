"""No row of the books is replaced, whichever program writes; a wallet stays with its user; no hold lasts for ever.

SQLite deletes a row that `INSERT OR REPLACE` is to make room for without asking the triggers that forbid it, unless
the connection has `recursive_triggers`, which only chatbill's own have. So the database looks itself, before a row
comes in, whether its keys are there already.

Compatible with: the programs of 0001 to 0006 run on after this step, as none of them does what is forbidden now.
Going back takes the rules away and nothing else. No program ever gave two users one wallet; where somebody did so by
hand, the step fails and names it, and it must be put right first.

Locks: on PostgreSQL, the new index keeps writers out of `users` while that is read once, and each new rule waits for
running transactions to leave its table. On SQLite, writers wait for the step, which reads the users.
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
        "wallets_owe_what_was_allowed",
        "wallets",
        "UPDATE OF overdraft",
        "WHEN (NEW.overdraft < OLD.overdraft OR (NEW.overdraft > OLD.overdraft AND NEW.version = OLD.version))",
        "what a wallet may owe changes with its entries alone",
    ),
    (
        "users_keep_their_wallet",
        "users",
        "UPDATE OF id, wallet_id",
        "WHEN (OLD.id <> NEW.id OR OLD.wallet_id <> NEW.wallet_id)",
        "whose wallet it is never changes",
    ),
    ("users_stay", "users", "DELETE", "", "a user is disabled, never deleted"),
)
"""Name of the trigger, table, what is done to a row, when that is forbidden ("": always), and why."""

FORM = "????-??-??T??:??:??.??????Z"
TIMED = ("ledger_entries", "interactions", "payments")
"""Tables whose rows must say when they came in, in a way that programs can read."""

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
    for name, table, event, when, words in FORBIDDEN:
        forbid(name, table, event, when, words)
    come_with_a_time()
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
    for table in reversed(TIMED):
        op.execute(f"DROP TRIGGER {table}_come_with_a_time" + (f" ON {table}" if is_postgres() else ""))
    op.execute("DROP TRIGGER holds_end_in_time" + (" ON holds" if is_postgres() else ""))
    for name, table, event, _, _ in reversed(FORBIDDEN):
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if is_postgres() else ""))
        if event == "DELETE" and is_postgres():
            op.execute(f"DROP TRIGGER {name}_together ON {table}")
    op.drop_index(WALLET, "users")
    op.create_index("ix_users_wallet_id", "users", ["wallet_id"])


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def forbid(name: str, table: str, event: str, when: str, words: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} {refusal(words)}")
    if event == "DELETE" and is_postgres():
        body = f"EXECUTE FUNCTION chatbill_forbid('{table} is never emptied')"
        op.execute(f"CREATE TRIGGER {name}_together BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {body}")


def refusal(words: str) -> str:
    """As in 0001, whose function for PostgreSQL serves here too."""
    if is_postgres():
        return f"EXECUTE FUNCTION chatbill_forbid('{words}')"
    return f"BEGIN SELECT RAISE(ABORT, '{words}'); END"


def come_with_a_time() -> None:
    """A hold of which nobody knows when it ends, or that ends in a hundred years, locks credits without a word.

    The settings let a reply take a day, and its hold outlive it by an hour.
    """
    if is_postgres():
        is_time = "NEW.created_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-30 00:00:00+00'"
        ends = f"{is_time} AND NEW.expires_at BETWEEN NEW.created_at AND NEW.created_at + interval '90000 seconds'"
    else:
        # As text of 27 characters, which sorts as time does; and a real day of the calendar. A day has 86,400 s.
        is_time = f"NEW.created_at GLOB '{FORM}' AND julianday(NEW.created_at) IS NOT NULL"
        lasts = "julianday(NEW.expires_at) - julianday(NEW.created_at)"
        ends = f"{is_time} AND NEW.expires_at GLOB '{FORM}' AND COALESCE({lasts} BETWEEN 0 AND 1.0417, 0)"
    words = "a hold lasts 25 hours at most"
    op.execute(
        f"CREATE TRIGGER holds_end_in_time BEFORE INSERT ON holds FOR EACH ROW WHEN (NOT ({ends})) {refusal(words)}"
    )
    for table in TIMED:
        words = f"created_at must be a time in the years 1 to 9999: {table}"
        op.execute(
            f"CREATE TRIGGER {table}_come_with_a_time BEFORE INSERT ON {table} FOR EACH ROW"
            f" WHEN (NOT ({is_time})) {refusal(words)}"
        )


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
