"""Sign in: exchange a name and a password for a session."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbill.application.accounts.check_code import CheckCode, CheckedCode, use_code
from chatbill.application.accounts.find_user import find_user
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Claims, Tokens, TokenUse
from chatbill.application.shared.audit_trail import SESSION, Act, act_of
from chatbill.application.shared.bounds import TokenLifetimes
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.second_factors import SecondFactorRequired, WrongCode
from chatbill.domain.accounts.sessions import (
    MAX_ADDRESS_CHARS,
    MAX_CLIENT_CHARS,
    MAX_SESSIONS,
    RefreshToken,
    Session,
    SessionEnd,
    printable,
)
from chatbill.domain.accounts.users import User, name_key
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import ChatbillError, Forbidden, InvalidCredentials, RateLimited
from chatbill.domain.shared.ids import SessionId, UserId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials of a user.

    `login` is the username or the e-mail address. `code` is that of the second factor, where there is one. `address` is
    where it came from, and `client` how the program there calls itself.
    """

    login: str
    password: str = field(repr=False)
    address: str = "local"
    client: str = ""
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new pair of tokens. The access token is valid for `expires_in_s` seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    session_expires_at: datetime
    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Open a session.

    Raises `InvalidCredentials` for a wrong name or a wrong password, and takes the same time for both; `RateLimited`
    after too many failures for this account, from this address, or for both; `Overloaded` if too many passwords are
    being checked; `Forbidden` for a disabled account. After the right password alone: `SecondFactorRequired` and
    `WrongCode`, where the account has a second factor.
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    check_code: CheckCode
    tokens: Tokens
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    failures: Limit
    address_failures: Limit
    name_failures: Limit
    lifetimes: TokenLifetimes
    use: TokenUse = TokenUse.API

    async def __call__(self, credentials: Credentials) -> SignedIn:
        """Check the password outside any transaction, then open the session in one.

        Failures are logged. The audit trail has them where a password was checked: a flood that limits refuse must not
        fill it.
        """
        key = name_key(credentials.login[:512])
        try:
            return await self._sign_in(credentials, key)
        except (InvalidCredentials, Forbidden, RateLimited) as error:
            # People type passwords into the wrong field, so the name is not logged as it is.
            facts = {"login_hash": self.tokens.pseudonym(key), "address": credentials.address, "reason": error.code}
            _log.warning("sign_in_failed", extra=facts)
            raise

    async def _sign_in(self, credentials: Credentials, key: str) -> SignedIn:
        await self.rate_limits.check(self.address_failures, credentials.address)
        async with self.gate.turn(credentials.address):
            # Others of this address may have failed while this one has waited.
            await self.rate_limits.check(self.address_failures, credentials.address)
            user, fits, fresh_hash = await self._check_password(credentials, key)
        if user is None or not fits:
            act, error = self._act(None), InvalidCredentials()
            await self.store.write(lambda tx: self._record_failure(tx, act, user, key, error))
            raise error
        code = await self._check_code(user, credentials)
        signed_in = await self._open_session(user, fresh_hash, code, credentials, key)
        await self.rate_limits.forget(self.failures, f"{user.id}|{credentials.address}")
        if code is not None:
            await self.check_code.accepted(user.id)
        return signed_in

    async def _check_password(self, credentials: Credentials, key: str) -> tuple[User | None, bool, str | None]:
        """Return the user, if the password fits, and a new hash of it if the stored one is outdated."""
        user = await self.store.read(lambda snapshot: find_user(snapshot.users, key))
        name = user.id if user else key
        origin = f"{name}|{credentials.address}"
        await self.rate_limits.check(self.name_failures, name)
        # Counted before the check, so that guesses made in parallel are counted too. A sign-in resets the count.
        await self.rate_limits.hit(self.failures, origin)
        verified = await self.passwords.verify(credentials.password, user.known_hash if user else None)
        if user is None or not verified.ok:
            await self._count_failure(credentials, name)
            return user, False, None
        return user, True, await self.passwords.hash(credentials.password) if verified.outdated else None

    async def _count_failure(self, credentials: Credentials, name: str) -> None:
        await self.rate_limits.add(self.address_failures, credentials.address)
        await self.rate_limits.add(self.name_failures, name)

    async def _check_code(self, user: User, credentials: Credentials) -> CheckedCode | None:
        """Return the code that fits the second factor; None if there is none."""
        factor = await self.store.read(lambda snapshot: snapshot.second_factors.get(user.id))
        if factor is None or not factor.is_active:
            return None
        error: ChatbillError = SecondFactorRequired()
        if credentials.code:
            try:
                return await self.check_code(factor, credentials.code)
            except WrongCode as wrong:
                await self._count_failure(credentials, user.id)
                error = wrong
        act, because = self._act(None), {"because": error.description.code}
        await self.store.write(
            lambda tx: act.record(tx, AuditAction.SECOND_FACTOR_FAILED, (USER, user.id), after=because)
        )
        raise error

    def _act(self, actor: UserId | None) -> Act:
        return act_of(actor, at=self.clock(), new_id=self.new_id)

    def _record_failure(self, tx: Transaction, act: Act, user: User | None, key: str, error: ChatbillError) -> None:
        # People type passwords into the wrong field, so the name is not recorded as it is.
        after = {"login": self.tokens.pseudonym(key), "because": error.description.code}
        act.record(tx, AuditAction.SIGN_IN_FAILED, (USER, user.id) if user else None, after=after)

    async def _open_session(
        self, checked: User, fresh_hash: str | None, code: CheckedCode | None, credentials: Credentials, key: str
    ) -> SignedIn:
        now = self.clock()
        act, failure = self._act(checked.id), self._act(None)
        session = Session(
            id=SessionId(self.new_id()),
            user_id=checked.id,
            created_at=now,
            expires_at=now + timedelta(seconds=self.lifetimes.refresh_s),
            last_seen_at=now,
            address=printable(credentials.address, MAX_ADDRESS_CHARS),
            client=printable(credentials.client, MAX_CLIENT_CHARS),
        )
        secret = self.tokens.new_secret()

        def work(tx: Transaction) -> User | ChatbillError:
            user = tx.users.lock(checked.id)
            error: ChatbillError
            if user is None or user.password_hash != checked.password_hash:
                error = InvalidCredentials()
            elif not user.is_enabled:
                error = Forbidden("account_disabled")
            else:
                try:
                    use_code(tx, user.id, code)
                    return self._opened(tx, act, user, session, secret, fresh_hash)
                except (SecondFactorRequired, WrongCode) as refused:
                    error = refused
            # Returned, not raised: the record must be kept.
            self._record_failure(tx, failure, user, key, error)
            return error

        user = await self.store.write(work)
        if isinstance(user, ChatbillError):
            raise user
        return signed_in(self.tokens, self.lifetimes, user, session, secret, now=now, use=self.use)

    def _opened(
        self, tx: Transaction, act: Act, user: User, session: Session, secret: str, fresh_hash: str | None
    ) -> User:
        if fresh_hash:
            user.password_hash = fresh_hash
            tx.users.save(user)
        _make_room(tx, user.id, session.created_at)
        tx.sessions.add(session)
        digest = self.tokens.digest(secret)
        tx.sessions.add_token(RefreshToken(digest=digest, session_id=session.id, issued_at=session.created_at))
        act.record(tx, AuditAction.SIGNED_IN, (SESSION, session.id), after={"use": self.use.value})
        return user


def _make_room(tx: Transaction, user_id: UserId, now: datetime) -> None:
    """End the sessions that were used least recently, so that one more makes `MAX_SESSIONS` at most."""
    by_use = sorted(tx.sessions.live_of(user_id), key=lambda session: session.used_at, reverse=True)
    for old in by_use[MAX_SESSIONS - 1 :]:
        old.end(SessionEnd.TOO_MANY, at=now)
        tx.sessions.save(old)


def signed_in(
    tokens: Tokens,
    lifetimes: TokenLifetimes,
    user: User,
    session: Session,
    secret: str,
    *,
    now: datetime,
    use: TokenUse = TokenUse.API,
) -> SignedIn:
    """Return the pair of tokens for a live session whose newest refresh token is `secret`."""
    expires_at = min(now + timedelta(seconds=lifetimes.access_s), session.expires_at)
    claims = Claims(user_id=user.id, session_id=session.id, expires_at=expires_at, use=use)
    return SignedIn(
        access_token=tokens.sign(claims, now=now),
        refresh_token=secret,
        expires_in_s=int((expires_at - now).total_seconds()),
        session_expires_at=session.expires_at,
        principal=Principal.of(user, session),
    )
