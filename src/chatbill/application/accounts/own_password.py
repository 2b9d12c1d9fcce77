"""Checks the password of the person who is signed in."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import InvalidCredentials, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPassword:
    """Check a password that was asked for again.

    Raises `InvalidCredentials` when it is wrong, and `RateLimited` after too many wrong ones.
    """

    store: Store
    passwords: Passwords
    rate_limits: RateLimits
    failures: Limit

    async def __call__(self, principal: Principal, password: str) -> str:
        """Return the stored hash, which the password matches. Counted before the check and forgotten after it."""
        user = await self.store.read(lambda snapshot: snapshot.users.get(principal.user_id))
        if user is None:
            raise NotFound("account")
        await self.rate_limits.hit(self.failures, principal.user_id)
        if not (await self.passwords.verify(password, user.password_hash)).ok:
            raise InvalidCredentials("wrong_current_password")
        await self.rate_limits.forget(self.failures, principal.user_id)
        return user.password_hash
