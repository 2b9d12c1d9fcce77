"""Refund: a member of the staff gives a charge back, or a part of it."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction, once
from chatbill.application.administration.user_actions import refuse_own_account
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.subjects import USER
from chatbill.domain.billing.wallets import Posting
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Conflict, NotFound
from chatbill.domain.shared.ids import EntryId, InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Give back what an interaction cost: all that is left of it, or `amount` credits.

    All refunds of an interaction together are never more than its charge, however often they are asked for. Raises
    `Forbidden`, `NotFound`, `Conflict` where nothing is left to give back, `InvalidRequest`, `IdempotencyMismatch`.
    Own replies are refunded to people who may adjust credits only; to others, that is `Forbidden`.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(
        self, principal: Principal, interaction_id: InteractionId, action: AdminAction, amount: int | None = None
    ) -> LedgerEntry:
        """Give the credits back and return the entry."""
        require_permission(principal, Permission.REFUND)
        reason = action.checked_reason()
        now, entry_id = self.clock(), EntryId(self.new_id())
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> LedgerEntry:
            interaction = tx.interactions.get(interaction_id)
            if interaction is None:
                raise NotFound("interaction")
            if Permission.ADJUST_CREDITS not in permissions_of(principal.role):
                refuse_own_account(principal, interaction.user_id)
            wallet = tx.wallets.lock(interaction.wallet_id)
            if earlier := once(tx, principal, action, "refund", entry_id, now, target=interaction_id, amount=amount):
                return earlier
            hold = tx.holds.get(interaction.hold_id)
            if hold is None or hold.refundable == 0:
                raise Conflict("nothing_to_refund")
            description = Description.of("by_hand", reason=reason)
            cause = Cause(description=description, subject=hold.subject, hold_id=hold.id, author=principal.user_id)
            given = hold.refundable if amount is None else amount
            refund = wallet.refund(hold, given, entry_id=entry_id, at=now, cause=cause)
            tx.holds.save_refund(refund.hold)
            entry = keep_posting(tx, Posting(refund.wallet, refund.entry))
            act.record_entry(tx, AuditAction.CHARGE_REFUNDED, (USER, interaction.user_id), entry, reason=reason)
            return entry

        return await self.store.write(work)
