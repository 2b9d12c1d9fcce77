"""Confirm a second factor with a first code: sign-ins need one from then on."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.check_code import CheckCode
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.second_factors import RECOVERY_CODES, SecondFactor, WrongCode, require_inactive
from chatbill.domain.billing.codes import code_text, typed_code
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmSecondFactor:
    """Confirm the second factor with a code that the app shows.

    Raises `NotFound` if none was set up, `Conflict` if it is confirmed, and what `CheckCode` raises.
    """

    store: Store
    check_code: CheckCode
    tokens: Tokens
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, code: str) -> tuple[str, ...]:
        """Return the recovery codes, which are not stored and cannot be shown again."""
        require_sign_in(principal)
        found = await self.store.read(lambda snapshot: snapshot.second_factors.get(principal.user_id))
        checked = await self.check_code(_unconfirmed(found), code)
        codes = tuple(code_text(self.tokens.new_secret()) for _ in range(RECOVERY_CODES))
        digests = tuple(self.tokens.digest(typed_code(each) or "") for each in codes)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)

        def work(tx: Transaction) -> None:
            tx.users.lock(principal.user_id)
            factor = _unconfirmed(tx.second_factors.get(principal.user_id))
            if checked.step is None or factor.sealed_secret != checked.sealed_secret:
                raise WrongCode
            factor.confirm(checked.step, digests, at=act.at)
            tx.second_factors.save(factor)
            act.record(tx, AuditAction.SECOND_FACTOR_SET, (USER, factor.user_id))

        await self.store.write(work)
        await self.check_code.accepted(principal.user_id)
        return codes


def _unconfirmed(factor: SecondFactor | None) -> SecondFactor:
    if factor is None:
        raise NotFound("second_factor")
    require_inactive(factor)
    return factor
