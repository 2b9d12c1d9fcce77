"""Roles of the staff, and the audit trail.

Compatible with: the programs of 0001 to 0011 run on after this step until a person gets one of the new roles, which
they do not know; they write no audit trail. Going back forgets the trail and makes people with a new role ordinary
users.

Locks: on PostgreSQL, the rule of roles is checked against every user while the table is locked, milliseconds for
100,000. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
RULE = "ck_users_role_known"
OLD, NEW = "role IN ('user', 'admin')", "role IN ('user', 'viewer', 'support', 'finance', 'admin')"
INDEXES = (("at", "id"), ("actor", "at", "id"), ("subject_id", "at", "id"))
FORBIDDEN = (
    ("audit_trail_stays_as_it_is", "UPDATE", "a record of the audit trail never changes"),
    ("audit_trail_stay", "DELETE", "a record of the audit trail is never deleted"),
)
REPLACED = "a row is never replaced: audit_trail.id"


def upgrade() -> None:
    change_rule(OLD, NEW)
    make_trail()
    for name, event, why in FORBIDDEN:
        body = f"EXECUTE FUNCTION chatbill_forbid('{why}')"
        if not is_postgres():
            body = f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON audit_trail FOR EACH ROW {body}")
    if is_postgres():
        op.execute(
            "CREATE TRIGGER audit_trail_stay_together BEFORE TRUNCATE ON audit_trail FOR EACH STATEMENT"
            " EXECUTE FUNCTION chatbill_forbid('audit_trail is never emptied')"
        )
    else:
        taken = "WHERE EXISTS (SELECT 1 FROM audit_trail WHERE id = NEW.id)"
        op.execute(
            "CREATE TRIGGER audit_trail_come_in_anew BEFORE INSERT ON audit_trail FOR EACH ROW"
            f" BEGIN SELECT RAISE(ABORT, '{REPLACED}') {taken}; END"
        )


def downgrade() -> None:
    op.drop_table("audit_trail")
    op.execute("UPDATE users SET role = 'user' WHERE role NOT IN ('user', 'admin')")
    change_rule(NEW, OLD)


def change_rule(old: str, new: str) -> None:
    """Put a rule over the one that is there.

    SQLite has no statement for that. Its manual has this way to change a rule without a copy of the table, which has
    many references and triggers: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    if is_postgres():
        op.execute(f"ALTER TABLE users DROP CONSTRAINT {RULE}")
        op.execute(f"ALTER TABLE users ADD CONSTRAINT {RULE} CHECK ({new})")
        return
    connection = op.get_bind()
    table = getattr(op.get_context().config, "attributes", {}).get("prefix", "") + "users"
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ? AND instr(sql, ?)",
        (f"CHECK ({old})", f"CHECK ({new})", table, f"CHECK ({old})"),
    )
    if changed.rowcount != 1:
        raise RuntimeError("the migrations did not make this table of users")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def make_trail() -> None:
    op.create_table(
        "audit_trail",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", ID, nullable=True),
        sa.Column("subject_kind", sa.Text(), nullable=True),
        sa.Column("subject_id", ID, nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(subject_kind IS NULL) = (subject_id IS NULL)", name=op.f("ck_audit_trail_subject_is_whole")
        ),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 500", name=op.f("ck_audit_trail_reason_is_short")),
        sa.ForeignKeyConstraint(["actor"], ["users.id"], name=op.f("fk_audit_trail_actor")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_trail")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for columns in INDEXES:
        op.create_index(op.f(f"ix_audit_trail_{'_'.join(columns)}"), "audit_trail", list(columns))
