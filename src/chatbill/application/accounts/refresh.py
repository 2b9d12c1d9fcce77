"""Refresh: exchange a refresh token for a new pair; a second use of one token ends its session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.sign_in import SignedIn, signed_in
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.bounds import TokenLifetimes
from chatbill.domain.accounts.sessions import RefreshToken, Session, SessionEnd
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import TokenExpired, Unauthenticated

MAX_TOKEN_CHARS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Exchange a refresh token (RFC 9700, section 4.14.2: rotation with reuse detection).

    Raises `TokenExpired` when the session has expired; `Unauthenticated` for a token that is unknown, was spent
    before, or belongs to a session that ended; `RateLimited` after too many exchanges by one session, or too many
    attempts from one address.
    """

    store: Store
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    lifetimes: TokenLifetimes
    idle_s: float
    per_session: Limit
    per_address: Limit

    async def __call__(self, refresh_token: str, address: str = "local") -> SignedIn:
        """Mark the token as exchanged and make the next one in one transaction. `address` is the client's."""
        await self.rate_limits.hit(self.per_address, address)
        if len(refresh_token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("refresh_token_unknown")
        digest = self.tokens.digest(refresh_token)
        await self._count(digest)
        result = await self._exchange(digest, now := self.clock(), secret := self.tokens.new_secret())
        if isinstance(result, Unauthenticated):
            raise result
        user, session = result
        return signed_in(self.tokens, self.lifetimes, user, session, secret, now=now)

    async def _count(self, digest: str) -> None:
        """Count an exchange by the session of a token.

        A token that was spent is not counted, so that its second use always ends the session.
        """
        token = await self.store.read(lambda snapshot: snapshot.sessions.token(digest))
        if token is not None and not token.is_spent:
            await self.rate_limits.hit(self.per_session, token.session_id)

    async def _exchange(self, digest: str, now: datetime, secret: str) -> tuple[User, Session] | Unauthenticated:
        # The owner or a thief: who sends a token again is not known.
        act = act_of(None, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> tuple[User, Session] | Unauthenticated:
            # Refusals are returned, not raised: ending the family must be kept.
            token = tx.sessions.token(digest)
            session = tx.sessions.lock(token.session_id) if token else None
            token = tx.sessions.token(digest)
            if token is None or session is None or session.ended_at:
                return Unauthenticated("refresh_token_ended")
            if not session.is_live(now, idle_s=self.idle_s):
                return TokenExpired("session_expired")
            if token.is_spent:
                session.end(SessionEnd.REFRESH_REUSED, at=now)
                tx.sessions.save(session)
                after = {"session": session.id}
                act.record(tx, AuditAction.TOKEN_REUSED, (USER, session.user_id), after=after)
                return Unauthenticated("refresh_token_reused")
            user = tx.users.get(session.user_id)
            if user is None or not user.is_enabled:
                return Unauthenticated()
            session.note_use(at=now)
            tx.sessions.save(session)
            token.spent_at = now
            tx.sessions.save_token(token)
            tx.sessions.add_token(RefreshToken(digest=self.tokens.digest(secret), session_id=session.id, issued_at=now))
            return user, session

        return await self.store.write(work)
