"""The outbox: events that are kept in the transaction they tell of.

Compatible with: the programs of 0008 run on after this step, and write no events. Going back forgets all events.

Locks: none beside the new table. On SQLite, writers wait for the step.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    make_outbox()
    refusal = "BEGIN SELECT RAISE(ABORT, 'an event never changes'); END"
    if is_postgres():
        refusal = "EXECUTE FUNCTION chatbill_forbid('an event never changes')"
    op.execute(f"CREATE TRIGGER outbox_stays_as_it_is BEFORE UPDATE ON outbox FOR EACH ROW {refusal}")


def downgrade() -> None:
    op.drop_table("outbox")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def words(type_: sa.types.TypeEngine[Any]) -> str:
    return str(type_.compile(dialect=op.get_bind().dialect))


def make_outbox() -> None:
    position, transaction = "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "0"
    if is_postgres():
        position = "BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_outbox PRIMARY KEY"
        transaction = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    id_, kinds = words(ID), "'granted', 'topped_up', 'charged', 'refunded', 'adjusted', 'released'"
    op.execute(
        f"CREATE TABLE outbox (position {position}, transaction_id {words(COUNT)} DEFAULT {transaction} NOT NULL,"
        f" kind TEXT NOT NULL, wallet_id {id_} NOT NULL, amount {words(COUNT)} NOT NULL, at {words(MOMENT)} NOT NULL,"
        f" subject_kind TEXT, subject_id {id_}, entry_id {id_}, hold_id {id_},"
        f" CONSTRAINT ck_outbox_kind_known CHECK (kind IN ({kinds})),"
        " CONSTRAINT ck_outbox_subject_is_whole CHECK ((subject_kind IS NULL) = (subject_id IS NULL)),"
        " CONSTRAINT fk_outbox_wallet_id FOREIGN KEY(wallet_id) REFERENCES wallets (id))"
        f"{'' if is_postgres() else ' STRICT'}"
    )
    op.create_index(op.f("ix_outbox_at"), "outbox", ["at"])
    op.create_index(op.f("ix_outbox_transaction_id_position"), "outbox", ["transaction_id", "position"])
    if not is_postgres():
        taken = "WHERE EXISTS (SELECT 1 FROM outbox WHERE position = NEW.position)"
        refusal = f"SELECT RAISE(ABORT, 'a row is never replaced: outbox.position') {taken}"
        op.execute(f"CREATE TRIGGER outbox_come_in_anew BEFORE INSERT ON outbox FOR EACH ROW BEGIN {refusal}; END")
