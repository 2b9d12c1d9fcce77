"""Create an API key, whose secret is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chatbill.application.accounts.own_password import OwnPassword
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import API_KEY, act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.api_keys import MAX_KEYS, ApiKey, KeyNameTaken, KeyParts, TooManyKeys, checked_terms
from chatbill.domain.accounts.scopes import DEFAULT_SCOPES, checked_scopes
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import ApiKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """The name of the key, its scopes, its cap for a month (in credits; None: no cap), and its end (None: never).

    `password` is that of the person. It is needed if the sign-in is not recent.
    """

    name: str
    scopes: Sequence[str] = tuple(DEFAULT_SCOPES)
    password: str | None = field(default=None, repr=False)
    monthly_cap: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """The key, and its text, which is not stored and cannot be shown again."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKey:
    """Make an API key for the signed-in account.

    Raises `InvalidRequest`, `KeyNameTaken`, `TooManyKeys`, `RateLimited`, and `Forbidden` for an API key.
    Also raises what `OwnPassword.unless_recent` raises, so that a browser left open or a stolen token makes no key.
    """

    store: Store
    own_password: OwnPassword
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    limit: Limit

    async def __call__(self, principal: Principal, order: NewApiKey) -> IssuedKey:
        """Check the terms, then store the key with the digest of its secret."""
        require_sign_in(principal)
        now = self.clock()
        name, expires_at = checked_terms(
            order.name, monthly_cap=order.monthly_cap, expires_at=order.expires_at, now=now
        )
        scopes = checked_scopes(order.scopes)
        await self.rate_limits.hit(self.limit, principal.user_id)
        await self.own_password.unless_recent(principal, order.password)
        secret = self.tokens.new_secret()
        key = ApiKey(
            id=ApiKeyId(self.new_id()),
            user_id=principal.user_id,
            name=name,
            # A fast hash is enough: 256 random bits cannot be guessed at any speed,
            # and the digest is made for every request. Slow hashes are for what people think up.
            digest=self.tokens.digest(secret),
            scopes=scopes,
            monthly_cap=order.monthly_cap,
            created_at=now,
            expires_at=expires_at,
        )
        act = act_of(principal.user_id, at=now, new_id=self.new_id)
        after = {"scopes": " ".join(sorted(scopes)), "monthly_cap": order.monthly_cap}

        def work(tx: Transaction) -> None:
            user = tx.users.lock(principal.user_id)
            if user is None or not user.is_enabled:
                raise Unauthenticated
            others = tx.api_keys.of_user(user.id)
            if any(other.name_key == key.name_key for other in others):
                raise KeyNameTaken
            if len(others) >= MAX_KEYS:
                raise TooManyKeys
            tx.api_keys.add(key)
            act.record(tx, AuditAction.KEY_MADE, (API_KEY, key.id), after=after)

        await self.store.write(work)
        return IssuedKey(key, KeyParts(key.id, secret).text())
