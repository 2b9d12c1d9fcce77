"""Response bodies of administration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from chatbill.application.accounts.links import IssuedLink
from chatbill.application.administration.create_code import IssuedCode
from chatbill.application.administration.list_audit_trail import NamedRecord
from chatbill.application.administration.list_codes import CodeRecord
from chatbill.application.administration.list_users import UserRecord
from chatbill.application.shared.paging import Page
from chatbill.entrypoints.web.password_links import link_address


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """A user. Credits are null for people who may not see them; `last_seen_at` is null without a known session."""

    id: str
    username: str
    email: str
    role: str
    state: str
    balance: int | None
    held: int | None
    spent: int | None
    created_at: datetime
    last_seen_at: datetime | None

    @classmethod
    def of(cls, record: UserRecord, **more: Any) -> Self:
        """Return the view of a user."""
        user = record.user
        return cls(
            id=user.id,
            username=user.username,
            email=user.email,
            role=user.role.value,
            state=user.state.value,
            balance=record.balance,
            held=record.held,
            spent=record.spent,
            created_at=user.created_at,
            last_seen_at=record.last_seen_at,
            **more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUserView(UserView):
    """A new user. `setup_url` is a link to set a password, shown here and never again."""

    setup_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersView:
    """A page of users."""

    items: list[UserView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[UserRecord]) -> UsersView:
        """Return the view of a page."""
        return cls(items=[UserView.of(record) for record in page.items], next_cursor=page.next_cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordLinkView:
    """A link with which a person sets a new password once. It is shown here and never again."""

    reset_url: str
    expires_at: datetime

    @classmethod
    def of(cls, link: IssuedLink, base: str) -> PasswordLinkView:
        """Return the view of a link."""
        return cls(reset_url=link_address(base, link.token), expires_at=link.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecordView:
    """One act. `actor` and `subject` are ids; `actor_name` is the username that the actor has now."""

    id: str
    at: datetime
    action: str
    actor: str | None
    actor_name: str | None
    subject: str | None
    subject_kind: str | None
    address: str | None
    request_id: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str | None

    @classmethod
    def of(cls, named: NamedRecord) -> AuditRecordView:
        """Return the view of a record."""
        record = named.record
        return cls(
            id=record.id,
            at=record.at,
            action=record.action.value,
            actor=record.actor,
            actor_name=named.actor_name,
            subject=record.subject_id,
            subject_kind=record.subject_kind,
            address=record.address,
            request_id=record.request_id,
            before=dict(record.before),
            after=dict(record.after),
            reason=record.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTrailView:
    """A page of the audit trail."""

    items: list[AuditRecordView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[NamedRecord]) -> AuditTrailView:
        """Return the view of a page."""
        return cls(items=list(map(AuditRecordView.of, page.items)), next_cursor=page.next_cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeView:
    """A code that redeems credits. `used` is how many of `uses` people have redeemed it."""

    id: str
    credits: int
    uses: int
    used: int
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, record: CodeRecord, **more: Any) -> Self:
        """Return the view of a code."""
        code = record.code
        return cls(
            id=code.id,
            credits=code.credits,
            uses=code.uses,
            used=record.used,
            created_at=code.created_at,
            created_by=code.created_by,
            expires_at=code.expires_at,
            withdrawn_at=code.withdrawn_at,
            **more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCodeView(CodeView):
    """A new code. `code` is what people enter; it is shown here and never again."""

    code: str

    @classmethod
    def issued(cls, issued: IssuedCode) -> IssuedCodeView:
        """Return the view of a new code."""
        return cls.of(CodeRecord(issued.code, 0), code=issued.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesView:
    """A page of codes."""

    items: list[CodeView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[CodeRecord]) -> CodesView:
        """Return the view of a page."""
        return cls(items=[CodeView.of(record) for record in page.items], next_cursor=page.next_cursor)
