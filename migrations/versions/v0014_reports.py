"""Tables for reports: roll-ups, the movements of credits that they count, and the bonus of each purchase.

Compatible with: the programs of 0001 to 0013 run on after this step, as the new column has a value where none is given;
they write no roll-ups, and the next program that does catches up with what they have written. The bonus of purchases
from before is not known: all their credits count as sold. Going back forgets roll-ups, which are made from other
rows, and the bonus of each purchase.

Locks: on PostgreSQL, two indexes are made while the tables of interactions and entries are locked against writing,
about a second for a million rows. The new column rewrites nothing. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
BONUS = "DEFAULT 0 NOT NULL CONSTRAINT ck_payments_bonus_in_bounds CHECK (bonus BETWEEN 0 AND credits)"
TRIGGER = "payments_keep_their_bonus"
WORDS = "the bonus of a purchase never changes"
INDEXES = (
    ("ix_interactions_finished_at", "interactions", ["finished_at"]),
    ("ix_interactions_created_at_id", "interactions", ["created_at", "id"]),
    ("ix_ledger_entries_created_at_id", "ledger_entries", ["created_at", "id"]),
)


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE payments ADD COLUMN bonus {COUNT.compile(dialect=op.get_bind().dialect)} {BONUS}")
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = "WHEN (OLD.bonus IS DISTINCT FROM NEW.bonus)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON payments FOR EACH ROW {when} {body}")
    for name, table, columns in INDEXES:
        op.create_index(op.f(name), table, columns)
    make_tables()


def downgrade() -> None:
    for table in ("report_rollups", "report_movements", "report_notes"):
        op.drop_table(table)
    for name, table, _ in INDEXES:
        op.drop_index(op.f(name), table)
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON payments" if is_postgres() else ""))
    op.execute("ALTER TABLE payments DROP COLUMN bonus")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def make_tables() -> None:
    make(
        "report_notes",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_report_notes")),
    )
    make(
        "report_movements",
        sa.Column("wallet_id", ID, nullable=False),
        sa.Column("wallet_version", COUNT, nullable=False, autoincrement=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("wallet_id", "wallet_version", name=op.f("pk_report_movements")),
    )
    op.create_index(op.f("ix_report_movements_at"), "report_movements", ["at"])
    make(
        "report_rollups",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("series", "starts_at", "key", name=op.f("pk_report_rollups")),
    )


def make(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, sqlite_strict=True, sqlite_with_rowid=False)
