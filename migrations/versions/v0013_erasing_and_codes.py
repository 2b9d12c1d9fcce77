"""Accounts that were erased, codes that redeem credits, and an order in which users are listed.

Compatible with: the programs of 0001 to 0012 run on after this step. They show an erased account as a suspended one,
cannot activate it, and know no codes. Going back forgets when accounts were erased, which stay suspended and nameless,
and the codes. The credits that were redeemed stay, and so do their entries.

Locks: on PostgreSQL, users are read once for their new index, and entries once for theirs, while they cannot be
written: about a second for a million. The new column rewrites nothing. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MAX_CREDITS = 1_000_000_000_000_000
MAX_USES = 10_000
ERASED_RULE = "CONSTRAINT ck_users_disabled_when_erased CHECK (erased_at IS NULL OR disabled_at IS NOT NULL)"


def changed(*names: str) -> str:
    return " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in names)


FORBIDDEN = (
    ("users_stay_erased", "users", "UPDATE", "OLD.erased_at IS NOT NULL", "an erased user never changes"),
    (
        "redeem_codes_keep_their_terms",
        "redeem_codes",
        "UPDATE",
        changed("id", "digest", "credits", "uses", "created_at", "created_by", "expires_at"),
        "the terms of a code never change",
    ),
    (
        "redeem_codes_stay_withdrawn",
        "redeem_codes",
        "UPDATE",
        f"OLD.withdrawn_at IS NOT NULL AND ({changed('withdrawn_at', 'withdrawn_by')})",
        "a code is withdrawn once",
    ),
    ("redeem_codes_stay", "redeem_codes", "DELETE", None, "a code is never deleted"),
)


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    moment = MOMENT.compile(dialect=op.get_bind().dialect)
    op.execute(f"ALTER TABLE users ADD COLUMN erased_at {moment} {ERASED_RULE}")
    op.create_index(op.f("ix_users_created_at_id"), "users", ["created_at", "id"])
    make_codes()
    of_code = sa.text("subject_kind = 'redeem_code'")
    op.create_index(
        "uq_ledger_entries_code_of_wallet",
        "ledger_entries",
        ["subject_id", "wallet_id"],
        unique=True,
        sqlite_where=of_code,
        postgresql_where=of_code,
    )
    for name, table, event, when, why in FORBIDDEN:
        body = f"EXECUTE FUNCTION chatbill_forbid('{why}')"
        if not is_postgres():
            body = f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        condition = f"WHEN ({when}) " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {condition}{body}")
    if is_postgres():
        op.execute(
            "CREATE TRIGGER redeem_codes_stay_together BEFORE TRUNCATE ON redeem_codes FOR EACH STATEMENT"
            " EXECUTE FUNCTION chatbill_forbid('redeem_codes is never emptied')"
        )
    else:
        taken = "WHERE EXISTS (SELECT 1 FROM redeem_codes WHERE id = NEW.id OR digest = NEW.digest)"
        op.execute(
            "CREATE TRIGGER redeem_codes_come_in_anew BEFORE INSERT ON redeem_codes FOR EACH ROW"
            f" BEGIN SELECT RAISE(ABORT, 'a row is never replaced: redeem_codes.id') {taken}; END"
        )
        taken = (
            "WHERE EXISTS (SELECT 1 FROM ledger_entries WHERE subject_kind = 'redeem_code'"
            " AND subject_id = NEW.subject_id AND wallet_id = NEW.wallet_id)"
        )
        op.execute(
            "CREATE TRIGGER ledger_entries_redeem_once BEFORE INSERT ON ledger_entries FOR EACH ROW"
            f" WHEN NEW.subject_kind = 'redeem_code' BEGIN SELECT RAISE(ABORT, 'a code is redeemed once') {taken}; END"
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER users_stay_erased" + (" ON users" if is_postgres() else ""))
    op.drop_index("uq_ledger_entries_code_of_wallet", "ledger_entries")
    if not is_postgres():
        op.execute("DROP TRIGGER ledger_entries_redeem_once")
    op.drop_table("redeem_codes")
    op.drop_index("ix_users_created_at_id", "users")
    op.execute("ALTER TABLE users DROP COLUMN erased_at")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def make_codes() -> None:
    op.create_table(
        "redeem_codes",
        sa.Column("id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("credits", COUNT, nullable=False),
        sa.Column("uses", COUNT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("withdrawn_by", ID, nullable=True),
        sa.CheckConstraint(f"credits BETWEEN 1 AND {MAX_CREDITS}", name=op.f("ck_redeem_codes_credits_in_bounds")),
        sa.CheckConstraint(f"uses BETWEEN 1 AND {MAX_USES}", name=op.f("ck_redeem_codes_uses_in_bounds")),
        sa.CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name=op.f("ck_redeem_codes_withdrawn_by_whom")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_redeem_codes_created_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["users.id"], name=op.f("fk_redeem_codes_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redeem_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_redeem_codes_digest")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_redeem_codes_created_at_id"), "redeem_codes", ["created_at", "id"])
