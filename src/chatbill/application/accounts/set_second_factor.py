"""Set up a second factor: make its secret, which counts when it is confirmed."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.one_time_codes import OneTimeCodes, Secrets
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.second_factors import SecondFactor, require_inactive
from chatbill.domain.shared.errors import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """The secret for the app, and the `otpauth` address of it. Neither can be shown again."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSecondFactor:
    """Make a secret for an app. Sign-ins need a code when the person has confirmed it with a first one.

    Raises `Conflict` if there is a second factor, `RateLimited`, `Forbidden` for an API key, and what
    `OwnPassword.unless_recent` raises, so that a browser left open cannot lock out its owner.
    """

    store: Store
    own_password: OwnPassword
    secrets: Secrets
    one_time_codes: OneTimeCodes
    rate_limits: RateLimits
    clock: Clock
    limit: Limit

    async def __call__(self, principal: Principal, password: str | None) -> NewSecret:
        """Keep the sealed secret in place of one that was not confirmed."""
        require_sign_in(principal)
        await self.rate_limits.hit(self.limit, principal.user_id)
        await self.own_password.unless_recent(principal, password)
        secret = self.one_time_codes.new_secret()
        factor = SecondFactor(
            user_id=principal.user_id,
            sealed_secret=self.secrets.seal(secret, of=principal.user_id),
            created_at=self.clock(),
        )

        def work(tx: Transaction) -> None:
            user = tx.users.lock(principal.user_id)
            if user is None or not user.is_enabled:
                raise Unauthenticated
            require_inactive(tx.second_factors.get(user.id))
            tx.second_factors.remove(user.id)
            tx.second_factors.add(factor)

        await self.store.write(work)
        return NewSecret(secret=secret, address=self.one_time_codes.address(secret, principal.username))
