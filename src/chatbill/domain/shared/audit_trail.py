"""The audit trail: what members of the staff did, and what concerns the security of accounts.

Records are never changed or deleted, and outlive the people that they name. So they hold ids, codes and figures, and
neither names, e-mail addresses nor texts of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import AuditRecordId, UserId

MAX_REASON_CHARS: Final = 500
Facts: TypeAlias = Mapping[str, str | int | bool | None]


class AuditAction(StrEnum):
    """What was done. The part before the dot says what it concerns."""

    SIGNED_IN = "session.started"
    SIGN_IN_FAILED = "session.refused"
    SIGNED_OUT = "session.ended"
    TOKEN_REUSED = "session.token_reused"  # noqa: S105 - a name
    REGISTERED = "account.registered"
    ACCOUNT_UPDATED = "account.updated"
    PASSWORD_CHANGED = "account.password_changed"  # noqa: S105 - a name
    PASSWORD_RESET = "account.password_reset"  # noqa: S105 - a name
    EMAIL_VERIFIED = "account.email_verified"
    SECOND_FACTOR_SET = "account.second_factor_set"
    SECOND_FACTOR_REMOVED = "account.second_factor_removed"
    SECOND_FACTOR_FAILED = "account.second_factor_refused"
    KEY_MADE = "key.made"
    KEY_REVOKED = "key.revoked"
    USER_CREATED = "user.created"
    USER_SUSPENDED = "user.suspended"
    USER_ACTIVATED = "user.activated"
    USER_SIGNED_OUT = "user.signed_out"
    USER_ERASED = "user.erased"
    ROLE_CHANGED = "user.role_changed"
    PASSWORD_LINK_MADE = "user.password_link_made"  # noqa: S105 - a name
    CREDITS_ADJUSTED = "credits.adjusted"
    CHARGE_REFUNDED = "credits.refunded"
    CODE_MADE = "code.made"
    CODE_WITHDRAWN = "code.withdrawn"
    CODE_REDEEMED = "code.redeemed"
    TEXTS_READ = "interaction.texts_read"
    EXPORTED = "report.exported"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    MEMORY_FREED = "memory.freed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One act. `subject_kind` and `subject_id` name what it was done to, such as `user` and an id.

    `actor` is None where the person is not known, as after a failed sign-in, and for the service itself. `address` and
    `request_id` are those of the request, None on the command line. `before` and `after` hold what has changed.
    """

    id: AuditRecordId
    at: datetime
    action: AuditAction
    actor: UserId | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    before: Facts = field(default_factory=lambda: MappingProxyType({}))
    after: Facts = field(default_factory=lambda: MappingProxyType({}))
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.subject_kind is None) != (self.subject_id is None):
            raise InvariantViolation(f"audit record {self.id} names half of a subject")
        if self.reason is not None and not 0 < len(self.reason) <= MAX_REASON_CHARS:
            raise InvariantViolation(f"audit record {self.id} has a reason of {len(self.reason)} characters")
