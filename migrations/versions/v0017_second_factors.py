"""Second factors of accounts (a sealed secret, the newest code used, recovery codes), and verified addresses.

Compatible with: the programs of 0001 to 0016 run on after this step, and let people sign in with their password alone.
A change of the address by them leaves it verified. Going back forgets all second factors and verifications.

Locks: on PostgreSQL, the new columns rewrite nothing, and their rules hold for every row by their defaults, but
wait for running transactions to leave the table. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def changed(*names: str) -> str:
    return " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in names)


ANOTHER_TIME = changed("confirmed_at")
MORE_CODES = "length(NEW.recovery_digests) > length(OLD.recovery_digests)"
FORBIDDEN = (
    (
        "second_factors_keep_their_secret",
        f"{changed('user_id', 'sealed_secret', 'created_at')} OR (OLD.confirmed_at IS NOT NULL AND {ANOTHER_TIME})",
        "the secret of a second factor never changes",
    ),
    (
        "second_factors_use_codes_once",
        f"NEW.last_step < OLD.last_step OR (OLD.confirmed_at IS NOT NULL AND {MORE_CODES})",
        "a code that was used is not good again",
    ),
)


COLUMNS = {
    "email_verified_at": "{moment}",
    "email_link": "TEXT",
    "email_link_expires_at": "{moment} CONSTRAINT ck_users_email_link_expires"
    " CHECK ((email_link IS NULL) = (email_link_expires_at IS NULL))",
    "welcome_due": "{flag} DEFAULT false NOT NULL"
    " CONSTRAINT ck_users_welcome_due_is_yes_or_no CHECK (welcome_due IN (true, false))",
}


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    types = {"moment": MOMENT.compile(dialect=op.get_bind().dialect), "flag": FLAG.compile(op.get_bind().dialect)}
    for name, definition in COLUMNS.items():
        op.execute(f"ALTER TABLE users ADD COLUMN {name} {definition.format(**types)}")
    op.create_table(
        "second_factors",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("last_step", COUNT, nullable=False),
        sa.Column("recovery_digests", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "recovery_digests = '' OR confirmed_at IS NOT NULL", name=op.f("ck_second_factors_recovery_when_confirmed")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for name, when, why in FORBIDDEN:
        body = f"EXECUTE FUNCTION chatbill_forbid('{why}')"
        if not is_postgres:
            body = f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE UPDATE ON second_factors FOR EACH ROW WHEN ({when}) {body}")


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.execute(f"ALTER TABLE users DROP COLUMN {name}")
    op.drop_table("second_factors")
