"""Verify an e-mail address with the token of a letter."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.domain.accounts.passwords import link_parts, unknown_link
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Forbidden
from chatbill.domain.shared.ids import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyEmail:
    """Mark the address of an account as verified, and grant the welcome credits that are due, once.

    Raises `InvalidRequest` for a token that is unknown, used up, replaced or expired; `Forbidden` for a disabled
    account; `RateLimited` after too many attempts from one address.
    """

    store: Store
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    attempts: Limit
    welcome_credits: int

    async def __call__(self, token: str, address: str) -> None:
        """Use up the token in one transaction with the credits."""
        await self.rate_limits.hit(self.attempts, f"verify|{address}")
        parts, now = link_parts(token), self.clock()
        digest, entry_id = self.tokens.digest(parts.secret), EntryId(self.new_id())
        act = act_of(parts.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            user = tx.users.lock(parts.user_id)
            if user is None or user.email_link is None or not user.email_link.opens_with(digest, now):
                raise unknown_link()
            if not user.is_enabled:
                raise Forbidden("account_disabled")
            granted = self.welcome_credits if user.welcome_due else 0
            user.email_verified_at, user.email_link, user.welcome_due = now, None, False
            tx.users.save(user)
            if granted:
                cause = Cause(description=Description.of("welcome_credits"))
                wallet = tx.wallets.lock(user.wallet_id)
                keep_posting(tx, wallet.grant(granted, entry_id=entry_id, at=now, cause=cause))
            act.record(tx, AuditAction.EMAIL_VERIFIED, (USER, user.id), after={"credits": granted})

        await self.store.write(work)
