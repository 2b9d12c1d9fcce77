"""A count of the records that the audit trail ever got, by which the audit notices records that were removed.

Compatible with: the programs of 0001 to 0020 run on after this step, as the database counts by itself. Going back
forgets the count. The records that are there count as all that there were.

Locks: on PostgreSQL, the new trigger waits for running transactions to leave the audit trail, which is then counted
while it is locked against writing: about a second for ten million records. From then on, transactions that add records
are committed one after the other; they count at their end. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ADD = "UPDATE audit_trail_counts SET records = records + 1 WHERE id = 'all'"
FUNCTION = f"""
CREATE FUNCTION chatbill_count_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {ADD};
    RETURN NULL;
END
$$
"""
GROWS = "the count of audit records grows by one"
FORBIDDEN = (
    ("audit_trail_counts_grow", "UPDATE", "WHEN (NEW.id <> OLD.id OR NEW.records <> OLD.records + 1)", GROWS),
    ("audit_trail_counts_stay", "DELETE", "", "the count of audit records is never deleted"),
)
REPLACED = "a row is never replaced: audit_trail_counts.id"


def upgrade() -> None:
    op.create_table(
        "audit_trail_counts",
        sa.Column("id", ID, nullable=False),
        sa.Column("records", COUNT, nullable=False),
        sa.CheckConstraint("records >= 0", name=op.f("ck_audit_trail_counts_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_trail_counts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    if is_postgres():
        op.execute(FUNCTION)
        op.execute(
            "CREATE CONSTRAINT TRIGGER audit_trail_are_counted AFTER INSERT ON audit_trail"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chatbill_count_record()"
        )
    else:
        op.execute(f"CREATE TRIGGER audit_trail_are_counted AFTER INSERT ON audit_trail FOR EACH ROW BEGIN {ADD}; END")
    op.execute("INSERT INTO audit_trail_counts (id, records) SELECT 'all', count(*) FROM audit_trail")
    forbid()


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_trail_are_counted" + (" ON audit_trail" if is_postgres() else ""))
    op.drop_table("audit_trail_counts")
    if is_postgres():
        op.execute("DROP FUNCTION chatbill_count_record()")


def forbid() -> None:
    """Let the count change by one record at a time, and stay."""
    for name, event, when, why in FORBIDDEN:
        body = f"EXECUTE FUNCTION chatbill_forbid('{why}')"
        if not is_postgres():
            body = f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON audit_trail_counts FOR EACH ROW {when} {body}")
    if is_postgres():
        op.execute(
            "CREATE TRIGGER audit_trail_counts_stay_together BEFORE TRUNCATE ON audit_trail_counts"
            " FOR EACH STATEMENT EXECUTE FUNCTION chatbill_forbid('audit_trail_counts is never emptied')"
        )
    else:
        taken = "WHERE EXISTS (SELECT 1 FROM audit_trail_counts WHERE id = NEW.id)"
        op.execute(
            "CREATE TRIGGER audit_trail_counts_come_in_anew BEFORE INSERT ON audit_trail_counts FOR EACH ROW"
            f" BEGIN SELECT RAISE(ABORT, '{REPLACED}') {taken}; END"
        )


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
