"""Remove one's own second factor."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.check_code import CheckCode, use_code
from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.second_factors import SecondFactor, SecondFactorRequired
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The password, and a code of the app or a recovery code. One that was not confirmed needs no code."""

    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSecondFactor:
    """Remove the second factor: sign-ins need the password alone.

    Raises `NotFound` if there is none, `SecondFactorRequired` without a code, and what `OwnPassword` and `CheckCode`
    raise.
    """

    store: Store
    own_password: OwnPassword
    check_code: CheckCode
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, removal: Removal) -> None:
        """Check both, then remove it with its recovery codes."""
        require_sign_in(principal)
        await self.own_password(principal, removal.password)
        factor = _found(await self.store.read(lambda snapshot: snapshot.second_factors.get(principal.user_id)))
        checked = None
        if factor.is_active:
            if not removal.code:
                raise SecondFactorRequired
            checked = await self.check_code(factor, removal.code)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)

        def work(tx: Transaction) -> None:
            tx.users.lock(principal.user_id)
            factor = _found(tx.second_factors.get(principal.user_id))
            use_code(tx, factor.user_id, checked)
            tx.second_factors.remove(factor.user_id)
            if factor.is_active:
                act.record(tx, AuditAction.SECOND_FACTOR_REMOVED, (USER, factor.user_id))

        await self.store.write(work)
        await self.check_code.accepted(principal.user_id)


def _found(factor: SecondFactor | None) -> SecondFactor:
    if factor is None:
        raise NotFound("second_factor")
    return factor
