"""Credits for anything: wallets have owners, holds and entries have subjects, texts are codes.

A wallet without a user and a hold without an interaction get an owner and a subject of the kind `unknown`. Sentences
that were stored become descriptions: JSON with a code and parameters. Payments can fail and be refunded.

Compatible with: no earlier program runs on after this step, and none may write while it is taken, as they know
neither owners nor subjects. Going back makes sentences of descriptions, and forgets owners, subjects and that
payments failed or were refunded: credits that were taken back then look as if their owner had done it by hand.

Locks: on PostgreSQL, wallets, holds, payments, entries and interactions are locked until the end of the step, which
writes every row of wallets, holds and entries anew: minutes for millions of rows, and as much space again until the
next VACUUM. On SQLite, these tables but interactions are copied, while writers wait.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
TEXT = sa.Text()
RETURNS = "uq_ledger_entries_return_of_payment"

COLUMNS: dict[str, tuple[tuple[str, sa.types.TypeEngine[Any], str], ...]] = {
    "wallets": (("owner_kind", TEXT, " NOT NULL"), ("owner_id", ID, " NOT NULL")),
    "holds": (("subject_kind", TEXT, " NOT NULL"), ("subject_id", ID, " NOT NULL"), ("purpose", TEXT, " NOT NULL")),
    "payments": (("refunded_at", MOMENT, ""),),
    "ledger_entries": (("subject_kind", TEXT, ""), ("subject_id", ID, "")),
}
PAID = "(status IN ('confirmed', 'refunded'))"
BOUGHT = (
    "CASE kind WHEN 'top_up' THEN payment_id IS NOT NULL"
    " WHEN 'adjustment' THEN payment_id IS NULL OR (credit = 'house:adjustments' AND author IS NULL)"
    " ELSE payment_id IS NULL END"
)
BY_HAND = "kind NOT IN ('adjustment', 'refund') OR ({})"
IS_RETURN = "(kind = 'adjustment' AND payment_id IS NOT NULL)"
ONE_SUBJECT = (
    "(interaction_id IS NULL OR payment_id IS NULL)"
    " AND (subject_kind IS NULL OR (interaction_id IS NULL AND payment_id IS NULL))"
)
CHECKS: tuple[tuple[str, str, str | None, str], ...] = (
    *(
        ("payments", name, f"{rule} {before}", f"{rule} {after}")
        for name, rule, before, after in (
            ("status_known", "status IN", "('pending', 'confirmed')", "('pending', 'confirmed', 'failed', 'refunded')"),
            ("time_when_confirmed", "(confirmed_at IS NOT NULL) =", "(status = 'confirmed')", PAID),
            ("balance_when_confirmed", "(balance_after IS NOT NULL) =", "(status = 'confirmed')", PAID),
        )
    ),
    ("payments", "time_when_refunded", None, "(refunded_at IS NOT NULL) = (status = 'refunded')"),
    ("ledger_entries", "top_up_has_payment", "(kind = 'top_up') = (payment_id IS NOT NULL)", BOUGHT),
    (
        *("ledger_entries", "by_hand_has_author", BY_HAND.format("author IS NOT NULL AND description <> ''")),
        BY_HAND.format(f"description <> '' AND (author IS NOT NULL OR {IS_RETURN})"),
    ),
    ("ledger_entries", "subject_is_whole", None, "(subject_kind IS NULL) = (subject_id IS NULL)"),
    ("ledger_entries", "subject_is_another", None, "subject_kind NOT IN ('interaction', 'payment')"),
    ("ledger_entries", "subject_is_one", None, ONE_SUBJECT),
)
"""Table, name, and the rule before this step, if there was one, and after it."""


def changed(*columns: str) -> str:
    return " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in columns)


def keep(name: str, table: str, columns: tuple[str, ...], why: str) -> tuple[str, ...]:
    return (name, table, f"UPDATE OF {', '.join(columns)}", changed(*columns), why)


TERMS = ("id", "wallet_id", "amount", "created_at", "expires_at")
KEPT_TERMS = "the terms of a hold never change"
STEP = (
    "(OLD.status = 'pending' AND NEW.status IN ('confirmed', 'failed'))"
    " OR (OLD.status = 'failed' AND NEW.status = 'confirmed')"
    " OR (OLD.status = 'confirmed' AND NEW.status = 'refunded'"
    f" AND NOT ({changed('confirmed_at', 'balance_after')}))"
)
FORBIDDEN_BEFORE = (
    keep("holds_keep_their_terms", "holds", TERMS, KEPT_TERMS),
    ("payments_are_confirmed_once", "payments", "UPDATE", "OLD.status <> 'pending'", "a payment is confirmed once"),
)
FORBIDDEN = (
    keep("holds_keep_their_terms", "holds", (*TERMS, "subject_kind", "subject_id", "purpose"), KEPT_TERMS),
    (
        *("payments_take_each_step_once", "payments", "UPDATE OF status, confirmed_at, balance_after, refunded_at"),
        *(f"NOT ({STEP})", "a payment is confirmed once, and refunded once after that"),
    ),
    keep("wallets_keep_their_owner", "wallets", ("owner_kind", "owner_id"), "the owner of a wallet never changes"),
)
"""Name of the trigger, table, what is done to a row, when that is forbidden, and why."""

KEPT_RETURN = (
    "; SELECT RAISE(ABORT, 'a row is never replaced: ledger_entries.payment_id') WHERE EXISTS (SELECT 1 FROM"
    " ledger_entries WHERE NEW.kind = 'adjustment' AND kind = 'adjustment' AND payment_id = NEW.payment_id); END"
)


def upgrade() -> None:
    drop_triggers(FORBIDDEN_BEFORE)
    for table, values in new_values().items():
        change(table, values, up=True)
    explain(described("text", text="error_detail"))
    run(f"CREATE UNIQUE INDEX {RETURNS} ON ledger_entries (payment_id) WHERE kind = 'adjustment'")
    create_triggers(FORBIDDEN)


def downgrade() -> None:
    op.drop_index(RETURNS, "ledger_entries")
    drop_triggers(FORBIDDEN)
    for table, values in old_values().items():
        change(table, values, up=False)
    explain(f"COALESCE({parameter('error_detail', 'text')}, {parameter('error_detail', 'code')})")
    create_triggers(FORBIDDEN_BEFORE)


def new_values() -> dict[str, dict[str, str]]:
    request = "FROM interactions WHERE interactions.hold_id = it.id"
    reply = f"(SELECT {described('reply', model='interactions.model')} {request})"
    is_unknown = "it.hold_id IS NOT NULL AND it.interaction_id IS NULL"
    owner = "(SELECT users.id FROM users WHERE users.wallet_id = it.id)"
    return {
        "wallets": {
            "owner_kind": f"CASE WHEN {owner} IS NULL THEN 'unknown' ELSE 'user' END",
            "owner_id": f"COALESCE({owner}, it.id)",
        },
        "holds": {
            "subject_kind": f"CASE WHEN EXISTS (SELECT 1 {request}) THEN 'interaction' ELSE 'unknown' END",
            "subject_id": f"COALESCE((SELECT interactions.id {request}), it.id)",
            "purpose": f"COALESCE({reply}, {described('unknown')})",
        },
        "payments": {},
        "ledger_entries": {
            "description": "CASE WHEN it.kind = 'grant' AND it.description = 'Welcome credits'"
            f" THEN {described('welcome_credits')}"
            " WHEN it.kind = 'charge' AND substr(it.description, 1, 9) = 'Reply by '"
            f" THEN {described('reply', model='substr(it.description, 10)')}"
            " WHEN it.kind = 'top_up' AND substr(it.description, 1, 8) = 'Top-up, '"
            f" THEN {described('top_up', package='substr(it.description, 9)')}"
            f" WHEN it.kind IN ('adjustment', 'refund') THEN {described('by_hand', reason='it.description')}"
            f" ELSE {described('text', text='it.description')} END",
            "subject_kind": f"CASE WHEN {is_unknown} THEN 'unknown' END",
            "subject_id": f"CASE WHEN {is_unknown} THEN it.hold_id END",
        },
    }


def old_values() -> dict[str, dict[str, str]]:
    names = ["code", "model", "package", "reason", "text"]
    code, model, package, reason, text = (parameter("it.description", name) for name in names)
    sentence = (
        f"CASE {code} WHEN 'welcome_credits' THEN 'Welcome credits' WHEN 'reply' THEN 'Reply by ' || {model}"
        f" WHEN 'top_up' THEN 'Top-up, ' || {package} WHEN 'payment_refunded' THEN 'Refunded, ' || {package}"
        f" WHEN 'by_hand' THEN {reason} WHEN 'text' THEN {text} END"
    )
    payer = "(SELECT payments.user_id FROM payments WHERE payments.id = it.payment_id)"
    status = "CASE it.status WHEN 'failed' THEN 'pending' WHEN 'refunded' THEN 'confirmed' ELSE it.status END"
    entries = {
        "description": f"COALESCE({sentence}, {code})",
        "author": f"CASE WHEN {IS_RETURN} THEN {payer} ELSE it.author END",
        "payment_id": f"CASE WHEN {IS_RETURN} THEN NULL ELSE it.payment_id END",
    }
    return {"ledger_entries": entries, "payments": {"status": status}, "holds": {}, "wallets": {}}


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def run(sql: str) -> Any:
    return op.get_bind().exec_driver_sql(sql)


def described(code: str, **parameters: str) -> str:
    """SQL for the text of a description, in the form that `Description.dumps` writes."""
    quoted = "CAST(to_json(CAST({} AS text)) AS text)" if is_postgres() else "json_quote({})"
    parts = [f"""',"{name}":' || {quoted.format(value)}""" for name, value in parameters.items()]
    return " || ".join([f"""'{{"code":"{code}"'""", *parts, "'}'"])


def parameter(column: str, name: str) -> str:
    return f"(CAST({column} AS json) ->> '{name}')" if is_postgres() else f"json_extract({column}, '$.{name}')"


def change(table: str, values: dict[str, str], *, up: bool) -> None:
    """Give a table its columns and rules of after this step, or of before it, and its rows these values."""
    if not is_postgres():
        copy(table, values, up=up)
        return
    rules = [(f"ck_{table}_{name}", each) for of, name, *each in CHECKS if of == table]
    steps = [f"DROP CONSTRAINT {name}" for name, each in rules if each[not up]]
    steps += [f"ADD COLUMN {name} {words(type_)}" for name, type_, _ in COLUMNS[table] if up]
    for step in [*steps, "DISABLE TRIGGER USER"]:
        run(f"ALTER TABLE {table} {step}")
    if values:
        run(f"UPDATE {table} AS it SET {', '.join(f'{name} = {value}' for name, value in values.items())}")  # noqa: S608
    steps = [f"DROP COLUMN {name}" for name, _, _ in COLUMNS[table] if not up]
    steps += [f"ALTER COLUMN {name} SET{null}" for name, _, null in COLUMNS[table] if up and null]
    steps += [f"ADD CONSTRAINT {name} CHECK ({each[up]})" for name, each in rules if each[up]]
    for step in ["ENABLE TRIGGER USER", *steps]:
        run(f"ALTER TABLE {table} {step}")


def copy(table: str, values: dict[str, str], *, up: bool) -> None:
    """SQLite changes no rule of a table that is there: its rows move to a new one, and all that belongs to it."""
    objects = stored("tbl_name", table)
    (sql,) = (sql for type_, _, sql in objects if type_ == "table")
    others = [each for each in objects if each[0] != "table"]
    had = [name for _, name, *_ in run(f"PRAGMA table_info({table})")]
    added = [name for name, _, _ in COLUMNS[table]]
    after = [*had, *added] if up else [name for name in had if name not in added]
    for type_, name, _ in others:
        run(f"DROP {type_} {name}")
    # Else the references of other tables would follow the old one.
    run("PRAGMA legacy_alter_table = ON")
    run(f"ALTER TABLE {table} RENAME TO old_{table}")
    run("PRAGMA legacy_alter_table = OFF")
    rules = [(f"CONSTRAINT ck_{table}_{name} CHECK ({{}})", old, now) for of, name, old, now in CHECKS if of == table]
    new = [f"{name} {words(type_)}{null}" for name, type_, null in COLUMNS[table]]
    new += [rule.format(made) for rule, before, made in rules if before is None]
    key = f"CONSTRAINT pk_{table} "
    pairs = [(key, ", \n\t".join([*new, key]))]
    pairs += [(rule.format(before), rule.format(made)) for rule, before, made in rules if before]
    run(edited(sql, pairs, up=up))
    taken = ", ".join(values.get(name, "NULL" if name in added else f"it.{name}") for name in after)
    run(f"INSERT INTO {table} ({', '.join(after)}) SELECT {taken} FROM old_{table} AS it")  # noqa: S608
    run(f"DROP TABLE old_{table}")
    for _, name, its in others:
        run(edited(its, [("; END", KEPT_RETURN)] if name == "ledger_entries_come_in_anew" else [], up=up))


def stored(column: str, name: str) -> list[list[str]]:
    """Type, name and SQL of what SQLite has under this name, without the prefix of this database."""
    prefix = getattr(op.get_context().config, "attributes", {}).get("prefix", "")
    found = run(f"SELECT type, name, sql FROM sqlite_master WHERE {column} = '{prefix}{name}' AND sql IS NOT NULL")  # noqa: S608
    return [[re.sub(rf"(?<!\w){prefix}(?=\w)", "", text) for text in each] for each in found]


def edited(sql: str, pairs: list[tuple[str, str]], *, up: bool) -> str:
    for before, after in pairs:
        old, new = (before, after) if up else (after, before)
        if sql.count(old) != 1:
            raise RuntimeError(f"the migrations did not make this: {sql}")
        sql = sql.replace(old, new)
    return sql


def words(type_: sa.types.TypeEngine[Any]) -> str:
    return str(type_.compile(dialect=op.get_bind().dialect))


def explain(value: str) -> None:
    """Set what is stored of failures, for which the rule that forbids it is taken away for a moment."""
    trigger = "interactions_end_once"
    off, on = (f"ALTER TABLE interactions {how} TRIGGER {trigger}" for how in ("DISABLE", "ENABLE"))
    if not is_postgres():
        ((_, _, on),), off = stored("name", trigger), f"DROP TRIGGER {trigger}"
    run(off)
    run(f"UPDATE interactions SET error_detail = {value} WHERE error_detail IS NOT NULL")  # noqa: S608
    run(on)


def create_triggers(forbidden: tuple[tuple[str, ...], ...]) -> None:
    """As in 0001, whose function for PostgreSQL serves here too."""
    body = "EXECUTE FUNCTION chatbill_forbid('{}')" if is_postgres() else "BEGIN SELECT RAISE(ABORT, '{}'); END"
    for name, table, event, when, why in forbidden:
        run(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) {body.format(why)}")


def drop_triggers(forbidden: tuple[tuple[str, ...], ...]) -> None:
    for name, table, *_ in forbidden:
        run(f"DROP TRIGGER {name}" + (f" ON {table}" if is_postgres() else ""))
