"""The names of the rules that a database must have: the triggers of the migrations, unique keys and constraints.

The audit looks for them, since nothing else notices that a rule was removed. A test compares the names with those
that the migrations make.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint, text

from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, Prefix
from chatbill.adapters.persistence.sql.statements import Statement
from chatbill.adapters.persistence.sql.tables import metadata

TRIGGERS = frozenset(
    {
        "api_key_months_keep_their_terms",
        "api_key_months_stay",
        "api_keys_keep_their_scopes",
        "api_keys_keep_their_terms",
        "api_keys_keep_who_revoked_them",
        "api_keys_stay",
        "api_keys_stay_revoked",
        "audit_trail_are_counted",
        "audit_trail_counts_grow",
        "audit_trail_counts_stay",
        "audit_trail_stay",
        "audit_trail_stays_as_it_is",
        "holds_are_settled_once",
        "holds_end_in_time",
        "holds_keep_their_terms",
        "holds_refunds_only_grow",
        "holds_stay",
        "idempotency_keys_stay",
        "idempotency_keys_stay_as_they_are",
        "interactions_are_asked_to_stop_once",
        "interactions_are_erased_or_kept",
        "interactions_come_with_a_time",
        "interactions_end_once",
        "interactions_keep_their_key",
        "interactions_keep_their_parent",
        "interactions_keep_their_terms",
        "interactions_stay",
        "interactions_stay_cached_or_not",
        "interactions_stay_temporary_or_not",
        "ledger_entries_come_with_a_time",
        "ledger_entries_stay",
        "ledger_entries_stay_as_they_are",
        "outbox_stays_as_it_is",
        "payments_come_with_a_time",
        "payments_keep_their_bonus",
        "payments_keep_their_order",
        "payments_stay",
        "payments_take_each_step_once",
        "redeem_codes_keep_their_terms",
        "redeem_codes_stay",
        "redeem_codes_stay_withdrawn",
        "second_factors_keep_their_secret",
        "second_factors_use_codes_once",
        "users_keep_their_wallet",
        "users_stay",
        "users_stay_erased",
        "wallets_keep_their_owner",
        "wallets_owe_what_was_allowed",
        "wallets_own_what_entries_say",
        "wallets_stay",
    }
)
"""On both databases."""

ON_SQLITE = frozenset(
    {
        "api_key_months_come_in_anew",
        "api_keys_come_in_anew",
        "audit_trail_come_in_anew",
        "audit_trail_counts_come_in_anew",
        "holds_come_in_anew",
        "idempotency_keys_come_in_once",
        "interactions_come_in_anew",
        "interactions_keep_their_numbers",
        "ledger_entries_come_in_anew",
        "ledger_entries_redeem_once",
        "outbox_come_in_anew",
        "payments_come_in_anew",
        "payments_keep_their_numbers",
        "redeem_codes_come_in_anew",
        "users_come_in_anew",
        "users_keep_apart",
        "users_keep_their_numbers",
        "wallets_come_in_anew",
    }
)
"""On SQLite alone, where a row can be replaced without being deleted."""

ON_POSTGRES = frozenset(f"{name}_together" for name in TRIGGERS if name.endswith("_stay"))
"""On PostgreSQL alone, where TRUNCATE empties a table without deleting a row."""

INSTALLED = {
    "sqlite": Statement(
        text("SELECT type, name FROM sqlite_master WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL)")
    ),
    "postgresql": Statement(
        text(
            "SELECT 'trigger', CAST(tgname AS text) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
            " AND relnamespace = CAST(current_schema() AS regnamespace)"
            " UNION ALL SELECT 'index', CAST(indexname AS text) FROM pg_indexes WHERE schemaname = current_schema()"
            " UNION ALL SELECT 'rule', CAST(conname AS text) FROM pg_constraint"
            " WHERE connamespace = CAST(current_schema() AS regnamespace)"
        )
    ),
}
"""Queries for kind and name of the rules in a database. SQLite has no list of the checks of a table."""


@cache
def expected(dialect: str, prefix: Prefix = NO_PREFIX) -> frozenset[tuple[str, str]]:
    """Return kind and name of every rule that the migrations make on this kind of database."""
    triggers = TRIGGERS | (ON_SQLITE if dialect == "sqlite" else ON_POSTGRES)
    indexes = {str(index.name) for table in metadata.tables.values() for index in table.indexes if index.unique}
    rules: set[str] = set()
    if dialect == "postgresql":
        kinds = (CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint)
        rules = {
            str(constraint.name)
            for table in metadata.tables.values()
            for constraint in table.constraints
            if isinstance(constraint, kinds)
        }
    named = (("trigger", triggers), ("index", indexes), ("rule", rules))
    return frozenset((kind, prefix.of(name)) for kind, names in named for name in names)
