"""Erase a user: the texts and the identity of a person go, the figures stay."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.revoke_keys import revoke_key
from chatbill.application.administration.update_user import stop_replies
from chatbill.application.administration.user_actions import locked_user_to_weaken, log_action, refuse_own_account
from chatbill.application.chat.delete_conversation import ERASED_TITLE
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import Act, act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import AccountState, User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseUser:
    """Erase an account for good. Its names can be registered again, by any person.

    The sessions are deleted with their addresses, the API keys are revoked, and running replies are stopped and charged
    as stopped ones. The texts of all conversations are blanked, also those that are written at that moment. The wallet,
    its entries and the figures of the interactions stay, and so does the audit trail, which names an id alone. Nothing
    happens to an account that is erased already.

    Raises `Forbidden`, also for one's own account and for an account with more permissions; `Conflict` for the last
    enabled administrator; `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, user_id: UserId, order: AdminAction) -> None:
        """Erase the account in one transaction."""
        require_permission(principal, Permission.ERASE_PEOPLE)
        reason, now, mark = order.checked_reason(), self.clock(), self.new_id()
        refuse_own_account(principal, user_id)
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> User | None:
            user = locked_user_to_weaken(tx, principal, user_id, even_erased=True)
            if user.state is AccountState.ERASED:
                return None
            erase(tx, user, principal, act, reason, mark)
            return user

        if user := await self.store.write(work):
            log_action("an account was erased", principal, user, reason=reason)


def erase(tx: Transaction, user: User, principal: Principal, act: Act, reason: str | None, mark: str) -> None:
    """Erase a locked user, and record it."""
    sessions = tx.sessions.erase_of(user.id)
    tx.second_factors.remove(user.id)
    stop_replies(tx, user, at=act.at)
    keys = tx.api_keys.of_user(user.id)
    for key in keys:
        revoke_key(tx, key, principal, act, reason)
    tx.conversations.delete_all_of(user.id, title=ERASED_TITLE, at=act.at)
    tx.interactions.erase_texts_of(user.id)
    before = {"role": user.role.value, "state": user.state.value}
    user.erase(at=act.at, mark=mark)
    tx.users.save(user)
    after = {"sessions_ended": sessions, "keys_revoked": len(keys)}
    act.record(tx, AuditAction.USER_ERASED, (USER, user.id), before=before, after=after, reason=reason)
