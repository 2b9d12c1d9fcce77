"""Adjust credits: a member of the staff adds credits to a person's wallet, or takes some from it."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction, once
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import EntryId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustCredits:
    """Move credits by hand, with a reason and the name of the member of the staff in the ledger.

    What a person can spend may fall to `-max_debt` credits and no lower; 0 allows no debt. Raises `Forbidden`,
    `NotFound`, `InvalidRequest` and `IdempotencyMismatch`.
    """

    store: Store
    clock: Clock
    new_id: NewId
    max_debt: int = 0

    async def __call__(self, principal: Principal, user_id: UserId, amount: int, action: AdminAction) -> LedgerEntry:
        """Move `amount` credits to the wallet, or from it if negative, and return the entry."""
        require_permission(principal, Permission.ADJUST_CREDITS)
        reason = action.checked_reason()
        now, entry_id = self.clock(), EntryId(self.new_id())
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> LedgerEntry:
            user = tx.users.get(user_id)
            if user is None:
                raise NotFound("user")
            wallet = tx.wallets.lock(user.wallet_id)
            if earlier := once(tx, principal, action, "adjust_credits", entry_id, now, target=user_id, amount=amount):
                return earlier
            cause = Cause(description=Description.of("by_hand", reason=reason), author=principal.user_id)
            entry = keep_posting(
                tx, wallet.adjust(amount, max_debt=self.max_debt, entry_id=entry_id, at=now, cause=cause)
            )
            act.record_entry(tx, AuditAction.CREDITS_ADJUSTED, (USER, user.id), entry, reason=reason)
            return entry

        return await self.store.write(work)
