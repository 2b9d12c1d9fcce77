"""Checks the password of the person who is signed in."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.passwords import PasswordRequired
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import InvalidCredentials, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPassword:
    """Check a password that was asked for again.

    Raises `InvalidCredentials` when it is wrong, `RateLimited` after too many wrong ones, and `Overloaded` if too
    many passwords are being checked. A sign-in is recent for `recent_s` seconds.
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    rate_limits: RateLimits
    failures: Limit
    clock: Clock
    new_id: NewId
    recent_s: float

    async def __call__(self, principal: Principal, password: str) -> str:
        """Return the stored hash, which the password matches. Counted before the check and forgotten after it."""
        user = await self.store.read(lambda snapshot: snapshot.users.get(principal.user_id))
        if user is None:
            raise NotFound("account")
        await self.rate_limits.hit(self.failures, principal.user_id)
        async with self.gate.turn(principal.user_id):
            verified = await self.passwords.verify(password, user.known_hash)
        if not verified.ok:
            act, after = act_of(user.id, at=self.clock(), new_id=self.new_id), {"because": "wrong_current_password"}
            await self.store.write(lambda tx: act.record(tx, AuditAction.SIGN_IN_FAILED, (USER, user.id), after=after))
            raise InvalidCredentials("wrong_current_password")
        await self.rate_limits.forget(self.failures, principal.user_id)
        return user.password_hash

    async def unless_recent(self, principal: Principal, password: str | None) -> None:
        """Check a password that is given. Raises `PasswordRequired` if none is and the sign-in is not recent."""
        if password:
            await self(principal, password)
            return
        signed_in_at = principal.signed_in_at
        if signed_in_at is not None and (self.clock() - signed_in_at).total_seconds() >= self.recent_s:
            raise PasswordRequired("password_required", within_s=self.recent_s)
