"""Reset the password with a link that an administrator made."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.accounts.revoke_api_key import revoke_own_keys
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.domain.accounts.passwords import checked_password, link_parts, unknown_link
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Forbidden, InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordReset:
    """The token of the link and the new password, and whether the API keys of the account are revoked too.

    `address` is where it came from.
    """

    token: str = field(repr=False)
    new: str = field(repr=False)
    revoke_api_keys: bool = False
    address: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPassword:
    """Set a new password without the old one, and end all sessions.

    Raises `InvalidRequest` for a link that is unknown, used up or expired, and for a password that breaks a rule or is
    the old one; `Forbidden` for a disabled account; `RateLimited` after too many attempts from one address;
    `Overloaded` if too many passwords are being checked.
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    attempts: Limit

    async def __call__(self, reset: PasswordReset) -> None:
        """Check the link before anything is hashed; set the hash and use up the link in one transaction."""
        origin = f"reset|{reset.address}"
        await self.rate_limits.hit(self.attempts, origin)
        parts = link_parts(reset.token)
        digest = self.tokens.digest(parts.secret)
        found = await self.store.read(lambda snapshot: snapshot.users.get(parts.user_id))
        user = self._permitted(found, digest)
        checked_password(reset.new, user.username, user.email, is_common=self.passwords.is_common)
        async with self.gate.turn(reset.address):
            if (await self.passwords.verify(reset.new, user.known_hash)).ok:
                raise InvalidRequest.of("new_password", "same_password")
            new_hash = await self.passwords.hash(reset.new)
        now = self.clock()
        act = act_of(user.id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            user = self._permitted(tx.users.lock(parts.user_id), digest)
            user.password_hash, user.password_link = new_hash, None
            tx.users.save(user)
            ended = end_sessions(tx, user.id, SessionEnd.PASSWORD_RESET, at=now)
            act.record(tx, AuditAction.PASSWORD_RESET, (USER, user.id), after={"sessions_ended": ended})
            if reset.revoke_api_keys:
                revoke_own_keys(tx, user.id, act)

        await self.store.write(work)
        await self.rate_limits.forget(self.attempts, origin)

    def _permitted(self, user: User | None, digest: str) -> User:
        """Return the user if the link is still good."""
        if user is None or user.password_link is None or not user.password_link.opens_with(digest, self.clock()):
            raise unknown_link()
        if not user.is_enabled:
            raise Forbidden("account_disabled")
        return user
