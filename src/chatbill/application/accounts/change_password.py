"""Change the password, and end every other session of the account."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.accounts.revoke_api_key import revoke_own_keys
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.passwords import checked_password, normalized_password
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import InvalidCredentials, InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """The current password and the new one, and whether the API keys of the account are revoked too."""

    current: str = field(repr=False)
    new: str = field(repr=False)
    revoke_api_keys: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """Set a new password.

    Raises `InvalidCredentials` when the current one is wrong, `RateLimited` after too many wrong ones, `Overloaded` if
    too many passwords are being checked, and `InvalidRequest` when the new one breaks a rule or is the current one.
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    own_password: OwnPassword
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, change: PasswordChange) -> None:
        """Check and hash outside any transaction; set the hash and end the other sessions in one."""
        require_sign_in(principal)
        checked_password(change.new, principal.username, principal.email, is_common=self.passwords.is_common)
        checked_hash = await self.own_password(principal, change.current)
        if normalized_password(change.new) == normalized_password(change.current):
            raise InvalidRequest.of("new_password", "same_password")
        async with self.gate.turn(principal.user_id):
            new_hash = await self.passwords.hash(change.new)
        now = self.clock()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            user = tx.users.lock(principal.user_id)
            if user is None or user.password_hash != checked_hash:
                raise InvalidCredentials("wrong_current_password")
            user.password_hash, user.password_link = new_hash, None
            tx.users.save(user)
            ended = end_sessions(tx, user.id, SessionEnd.PASSWORD_CHANGED, at=now, spare=principal.session_id)
            act.record(tx, AuditAction.PASSWORD_CHANGED, (USER, user.id), after={"sessions_ended": ended})
            if change.revoke_api_keys:
                revoke_own_keys(tx, user.id, act)

        await self.store.write(work)
