"""Change the password, and end every other session of the account."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import checked_password
from chatbill.domain.shared.errors import InvalidCredentials, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """The current password and the new one."""

    current: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """Set a new password.

    Raises `InvalidCredentials` when the current one is wrong, `RateLimited` after too many wrong ones, and
    `InvalidRequest` when the new one breaks a rule.
    """

    store: Store
    passwords: Passwords
    rate_limits: RateLimits
    clock: Clock
    failures: Limit

    async def __call__(self, principal: Principal, change: PasswordChange) -> None:
        """Check and hash outside any transaction; set the hash and end the other sessions in one."""
        require_sign_in(principal)
        checked_password(change.new, username=principal.username, email=principal.email, field="new_password")
        user = await self.store.read(lambda snapshot: snapshot.users.get(principal.user_id))
        if user is None:
            raise NotFound("account")
        checked_hash = user.password_hash
        await self.rate_limits.hit(self.failures, principal.user_id)
        if not (await self.passwords.verify(change.current, checked_hash)).ok:
            raise InvalidCredentials("wrong_current_password")
        await self.rate_limits.forget(self.failures, principal.user_id)
        new_hash = await self.passwords.hash(change.new)
        now = self.clock()

        def work(tx: Transaction) -> None:
            user = tx.users.lock(principal.user_id)
            if user is None or user.password_hash != checked_hash:
                raise InvalidCredentials("wrong_current_password")
            user.password_hash = new_hash
            tx.users.save(user)
            end_sessions(tx, user.id, SessionEnd.PASSWORD_CHANGED, at=now, spare=principal.session_id)

        await self.store.write(work)
