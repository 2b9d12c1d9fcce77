"""Erase one's own account, with the password."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.administration.erase_user import erase
from chatbill.application.administration.user_actions import locked_user_to_weaken
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.shared.errors import InvalidCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseOwnAccount:
    """Erase the account of the principal for good, as `EraseUser` does. The credits that are left are lost.

    Raises `Forbidden` for an API key, `Conflict` for the last enabled administrator, and what `OwnPassword` raises.
    """

    store: Store
    own_password: OwnPassword
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, password: str) -> None:
        """Check the password, and erase the account in one transaction."""
        require_sign_in(principal)
        checked = await self.own_password(principal, password)
        now, mark = self.clock(), self.new_id()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            user = locked_user_to_weaken(tx, principal, principal.user_id)
            if user.password_hash != checked:
                raise InvalidCredentials("wrong_current_password")
            erase(tx, user, principal, act, None, mark)

        await self.store.write(work)
