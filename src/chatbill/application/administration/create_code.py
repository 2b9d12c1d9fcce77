"""Create a code that redeems credits, which is shown once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.codes import RedeemCode, checked_code_terms, code_text, typed_code
from chatbill.domain.billing.subjects import CODE
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import CodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCode:
    """The credits of a code, how many people can redeem it, each once, and its end (None: never)."""

    credits: int
    uses: int = 1
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code, and its text, which is not stored and cannot be shown again."""

    code: RedeemCode
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCode:
    """Make a code. Raises `Forbidden`, and `InvalidRequest` with every invalid field."""

    store: Store
    tokens: Tokens
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, order: NewCode) -> IssuedCode:
        """Check the terms, then store the digest of a new code."""
        require_permission(principal, Permission.ADJUST_CREDITS)
        now = self.clock()
        expires_at = checked_code_terms(credits=order.credits, uses=order.uses, expires_at=order.expires_at, now=now)
        text = code_text(self.tokens.new_secret())
        code = RedeemCode(
            id=CodeId(self.new_id()),
            # A fast hash is enough, because 125 random bits cannot be guessed at any speed.
            digest=self.tokens.digest(typed_code(text) or text),
            credits=order.credits,
            uses=order.uses,
            created_at=now,
            created_by=principal.user_id,
            expires_at=expires_at,
        )
        act = act_of(principal.user_id, at=now, new_id=self.new_id)
        after = {
            "credits": code.credits,
            "uses": code.uses,
            "expires_at": expires_at.isoformat() if expires_at else None,
        }

        def work(tx: Transaction) -> None:
            tx.codes.add(code)
            act.record(tx, AuditAction.CODE_MADE, (CODE, code.id), after=after)

        await self.store.write(work)
        return IssuedCode(code, text)
