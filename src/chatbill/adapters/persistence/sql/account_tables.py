"""The tables of accounts: users, sessions, API keys, and the audit trail with its count."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Text, text

from chatbill.adapters.persistence.sql.columns import CHANGES, changing, check, columns, key, partial, reference, refers
from chatbill.adapters.persistence.sql.metadata import MAX_CREDITS, table
from chatbill.adapters.persistence.sql.types import Count, Flag, Id, UtcDateTime
from chatbill.domain.shared.audit_trail import MAX_REASON_CHARS

users = table(
    "users",
    key(),
    *changing(Text, "username", "email", "password_hash", "role"),
    Column("username_key", Text, nullable=False, unique=True, info=CHANGES),
    Column("email_key", Text, nullable=False, unique=True, info=CHANGES),
    refers("wallet_id", "wallets"),
    *columns(UtcDateTime, "created_at"),
    *changing(UtcDateTime, "disabled_at", null=True),
    *changing(Text, "password_link", null=True),
    *changing(UtcDateTime, "password_link_expires_at", null=True),
    *changing(UtcDateTime, "erased_at", null=True),
    check("disabled_when_erased", "erased_at IS NULL OR disabled_at IS NOT NULL"),
    *changing(Text, "locale", null=True),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'"), info=CHANGES),
    *changing(Count, "limit_day", "limit_month", "low_balance", null=True),
    check("limits_not_negative", "limit_day >= 0 AND limit_month >= 0 AND low_balance >= 0"),
    *changing(UtcDateTime, "email_verified_at", null=True),
    *changing(Text, "email_link", null=True),
    *changing(UtcDateTime, "email_link_expires_at", null=True),
    Column("welcome_due", Flag, nullable=False, server_default=text("false"), info=CHANGES),
    check("email_link_expires", "(email_link IS NULL) = (email_link_expires_at IS NULL)"),
    check("welcome_due_is_yes_or_no", "welcome_due IN (true, false)"),
    check("password_link_expires", "(password_link IS NULL) = (password_link_expires_at IS NULL)"),
    check("role_known", "role IN ('user', 'viewer', 'support', 'finance', 'admin')"),
    Index("uq_users_wallet_id", "wallet_id", unique=True),
    Index(None, "created_at", "id"),
)

sessions = table(
    "sessions",
    key(),
    refers("user_id", "users", index=True),
    *columns(UtcDateTime, "created_at"),
    Column("expires_at", UtcDateTime, nullable=False, index=True, info=CHANGES),
    *changing(UtcDateTime, "ended_at", null=True),
    *changing(Text, "ended_because", null=True),
    *changing(UtcDateTime, "last_seen_at", null=True),
    *columns(Text, "address", "client", null=True),
    check("end_has_reason", "(ended_at IS NULL) = (ended_because IS NULL)"),
    with_rowid=False,
)

refresh_tokens = table(
    "refresh_tokens",
    Column("digest", Text, primary_key=True),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    *columns(UtcDateTime, "issued_at"),
    *changing(UtcDateTime, "spent_at", null=True),
    with_rowid=False,
)

second_factors = table(
    "second_factors",
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    *columns(Text, "sealed_secret"),
    *columns(UtcDateTime, "created_at"),
    *changing(UtcDateTime, "confirmed_at", null=True),
    *changing(Count, "last_step"),
    # With blanks between them; those that were used are left out.
    *changing(Text, "recovery_digests"),
    check("recovery_when_confirmed", "recovery_digests = '' OR confirmed_at IS NOT NULL"),
    with_rowid=False,
)

api_keys = table(
    "api_keys",
    key(),
    refers("user_id", "users"),
    *columns(Text, "name", "name_key", "digest"),
    *columns(Count, "monthly_cap", null=True),
    *columns(UtcDateTime, "created_at"),
    *columns(UtcDateTime, "expires_at", null=True),
    *changing(UtcDateTime, "revoked_at", "last_used_at", null=True),
    refers("revoked_by", "users", null=True, info=CHANGES),
    *changing(Text, "revoked_why", null=True),
    # Names with blanks between them. The default is that of keys from before there were scopes.
    Column("scopes", Text, nullable=False, server_default=text("'billing chat'")),
    check("scopes_not_empty", "scopes <> ''"),
    check("revoked_by_when_revoked", "revoked_by IS NULL OR revoked_at IS NOT NULL"),
    check("revoked_why_by_whom", "revoked_why IS NULL OR revoked_by IS NOT NULL"),
    check("cap_in_bounds", f"monthly_cap BETWEEN 1 AND {MAX_CREDITS}"),
    partial("uq_api_keys_name_of_user", "user_id", "name_key", where="revoked_at IS NULL", unique=True),
    with_rowid=False,
)

api_key_months = table(
    "api_key_months",
    Column("api_key_id", Id, ForeignKey("api_keys.id"), primary_key=True),
    Column("starts_at", UtcDateTime, primary_key=True),
    *columns(UtcDateTime, "ends_at"),
    # A copy of the key's, so that the rule below can be said here.
    *columns(Count, "monthly_cap", null=True),
    *changing(Count, "used"),
    check("ends_after_start", "starts_at < ends_at"),
    check("used_not_negative", "used >= 0"),
    check("used_within_cap", "used <= monthly_cap"),
    with_rowid=False,
)

audit_trail = table(
    "audit_trail",
    key(),
    *columns(UtcDateTime, "at"),
    *columns(Text, "action"),
    refers("actor", "users", null=True),
    *reference("subject", null=True),
    *columns(Text, "address", "request_id", null=True),
    *columns(Text, "before", "after"),
    *columns(Text, "reason", null=True),
    check("subject_is_whole", "(subject_kind IS NULL) = (subject_id IS NULL)"),
    check("reason_is_short", f"length(reason) BETWEEN 1 AND {MAX_REASON_CHARS}"),
    Index(None, "at", "id"),
    Index(None, "actor", "at", "id"),
    Index(None, "subject_id", "at", "id"),
    with_rowid=False,
)

# One row, "all". The database counts, so that no program can forget to.
audit_trail_counts = table(
    "audit_trail_counts",
    key(),
    *columns(Count, "records"),
    check("not_negative", "records >= 0"),
    with_rowid=False,
)
