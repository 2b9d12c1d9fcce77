"""Withdraw a code, so that it redeems nothing any more."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.billing.subjects import CODE
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import CodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawCode:
    """Withdraw a code for good; a second time changes nothing. Credits that were redeemed stay.

    Raises `Forbidden`, `NotFound`, and `InvalidRequest` for a reason that is not valid; none need be given.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, code_id: CodeId, order: AdminAction | None = None) -> None:
        """Withdraw the code."""
        require_permission(principal, Permission.ADJUST_CREDITS)
        reason, now = order.checked_reason() if order else None, self.clock()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            code = tx.codes.lock(code_id)
            if code is None:
                raise NotFound("code")
            if code.withdrawn_at is None:
                code.withdraw(at=now, by=principal.user_id)
                tx.codes.save(code)
                after = {"used": tx.codes.used([code.id]).get(code.id, 0)}
                act.record(tx, AuditAction.CODE_WITHDRAWN, (CODE, code.id), after=after, reason=reason)

        await self.store.write(work)
