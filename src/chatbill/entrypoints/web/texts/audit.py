"""English words for the actions of the audit trail, for what they concern, and for the facts that they note."""

from __future__ import annotations

from typing import Final

from chatbill.domain.shared.audit_trail import AuditAction, Facts
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.language import gettext as _

ACTIONS: Final = {
    AuditAction.SIGNED_IN: N_("Signed in"),
    AuditAction.SIGN_IN_FAILED: N_("Sign-in refused"),
    AuditAction.SIGNED_OUT: N_("Signed out"),
    AuditAction.TOKEN_REUSED: N_("Refresh token used again"),
    AuditAction.REGISTERED: N_("Registered"),
    AuditAction.ACCOUNT_UPDATED: N_("Own account changed"),
    AuditAction.PASSWORD_CHANGED: N_("Password changed"),
    AuditAction.PASSWORD_RESET: N_("Password set by a link"),
    AuditAction.EMAIL_VERIFIED: N_("E-mail address verified"),
    AuditAction.SECOND_FACTOR_SET: N_("Second factor set up"),
    AuditAction.SECOND_FACTOR_REMOVED: N_("Second factor removed"),
    AuditAction.SECOND_FACTOR_FAILED: N_("Code of a second factor refused"),
    AuditAction.KEY_MADE: N_("API key made"),
    AuditAction.KEY_REVOKED: N_("API key revoked"),
    AuditAction.USER_CREATED: N_("Account created by the staff"),
    AuditAction.USER_SUSPENDED: N_("Account suspended"),
    AuditAction.USER_ACTIVATED: N_("Account activated"),
    AuditAction.USER_SIGNED_OUT: N_("Signed out by the staff"),
    AuditAction.USER_ERASED: N_("Account erased"),
    AuditAction.ROLE_CHANGED: N_("Role changed"),
    AuditAction.PASSWORD_LINK_MADE: N_("Password link made"),
    AuditAction.CREDITS_ADJUSTED: N_("Credits adjusted"),
    AuditAction.CHARGE_REFUNDED: N_("Charge refunded"),
    AuditAction.CODE_MADE: N_("Redeem code made"),
    AuditAction.CODE_WITHDRAWN: N_("Redeem code withdrawn"),
    AuditAction.CODE_REDEEMED: N_("Redeem code used"),
    AuditAction.TEXTS_READ: N_("Texts read"),
    AuditAction.EXPORTED: N_("Report exported"),
    AuditAction.ALERT_ACKNOWLEDGED: N_("Alert acknowledged"),
    AuditAction.MEMORY_FREED: N_("Memory freed"),
}
SUBJECTS: Final = {
    "user": N_("person"),
    "session": N_("session"),
    "api_key": N_("API key"),
    "redeem_code": N_("redeem code"),
    "interaction": N_("request"),
    "payment": N_("payment"),
    "report": N_("report"),
    "alert": N_("alert"),
}
FACTS: Final = {
    "amount": N_("credits moved"),
    "balance": N_("balance"),
    "because": N_("why"),
    "bytes": N_("bytes"),
    "count": N_("number"),
    "credits": N_("credits"),
    "expires_at": N_("valid until"),
    "fields": N_("what"),
    "format": N_("format"),
    "from": N_("from"),
    "group_by": N_("grouped by"),
    "interaction": N_("request"),
    "kind": N_("kind"),
    "link": N_("link made"),
    "keys_revoked": N_("keys revoked"),
    "login": N_("name, hashed"),
    "model": N_("model"),
    "monthly_cap": N_("monthly cap"),
    "newest": N_("newest"),
    "oldest": N_("oldest"),
    "owner": N_("owner"),
    "payment": N_("payment"),
    "redeem_code": N_("redeem code"),
    "role": N_("role"),
    "rows": N_("rows"),
    "scopes": N_("scopes"),
    "searched": N_("searched"),
    "session": N_("session"),
    "sessions_ended": N_("sessions ended"),
    "state": N_("state"),
    "to": N_("to"),
    "use": N_("use"),
    "used": N_("times used"),
    "uses": N_("uses allowed"),
    "user": N_("person"),
}
YES: Final = N_("yes")
NO: Final = N_("no")
NONE: Final = N_("none")


def action_text(action: AuditAction) -> str:
    """Return the words for an action."""
    return _(ACTIONS[action])


def subject_text(kind: str) -> str:
    """Return the words for a kind of subject; the kind itself where it has none."""
    return _(SUBJECTS[kind]) if kind in SUBJECTS else kind


def fact_text(facts: Facts, name: str) -> str:
    """Return one noted fact in words; its own name where it has none."""
    told, value = _(FACTS[name]) if name in FACTS else name, facts[name]
    if isinstance(value, bool):
        return f"{told}: {_(YES if value else NO)}"
    return f"{told}: {_(NONE) if value is None else value}"
