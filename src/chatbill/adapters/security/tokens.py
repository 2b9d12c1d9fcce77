"""Access tokens as JSON Web Tokens with one pinned algorithm, and opaque secrets that are kept as digests."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import jwt

from chatbill.application.ports.tokens import Claims, TokenUse
from chatbill.domain.shared.errors import TokenExpired, Unauthenticated
from chatbill.domain.shared.ids import SessionId, UserId

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"  # explicit typing, RFC 8725 section 3.11; the name is RFC 9068's
MIN_KEY_BYTES: Final = 32  # RFC 7518 section 3.2: a key at least as long as the hash
MAX_TOKEN_CHARS: Final = 2_048
MAX_ID_CHARS: Final = 64
REMEMBERED_TOKENS: Final = 1_024
SECRET_BYTES: Final = 32
PSEUDONYM_CHARS: Final = 16
# Machines that share the work may disagree a little about the time.
CLOCK_SKEW: Final = timedelta(seconds=60)

# Base64url without padding, written in the one canonical way: 43 characters carry the 256 bits of the signature and
# two more that must be zero, so that no second spelling of a good token is good too.
SHAPE: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
REQUIRED: Final = ("iss", "aud", "sub", "sid", "use", "jti", "iat", "exp")


class JwtTokens:
    """Tokens signed with HMAC-SHA256 under `key`, a secret of at least 32 bytes (ValueError when shorter).

    Tokens that were signed with an `older` key are read too: each names its key (RFC 7515, section 4.1.4).
    `issuer` and `audience` keep tokens of one service from being used at another that shares its key.
    """

    def __init__(
        self, key: bytes, *, older: Sequence[bytes] = (), issuer: str = "chatbill", audience: str = "chatbill"
    ) -> None:
        for each in (key, *older):
            if len(each) < MIN_KEY_BYTES:
                raise ValueError(f"the signing key has {len(each)} bytes and needs at least {MIN_KEY_BYTES}")
        self._key = key
        self._keys = {_name(each): each for each in (key, *older)}
        self._issuer = issuer
        self._audience = audience
        # A session sends one token with many requests, and what is checked of it here never changes.
        self._verified = lru_cache(maxsize=REMEMBERED_TOKENS)(self._verify)

    def sign(self, claims: Claims, *, now: datetime) -> str:
        """Return a token that is valid from `now` until `claims.expires_at`, to the microsecond."""
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": claims.user_id,
            "sid": claims.session_id,
            "use": claims.use.value,
            "jti": secrets.token_urlsafe(16),
            "iat": _numeric_date(now),
            "exp": _numeric_date(claims.expires_at),
        }
        return jwt.encode(payload, self._key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": _name(self._key)})

    def read(self, token: str, *, now: datetime) -> Claims:
        """Return the claims of the token. Raises `TokenExpired`, or `Unauthenticated` for every other fault."""
        payload = self._verified(token)
        expires_at = _moment(payload["exp"])
        if _moment(payload["iat"]) > now + CLOCK_SKEW:
            raise Unauthenticated
        if now >= expires_at:
            raise TokenExpired
        return Claims(
            user_id=UserId(_id(payload["sub"])),
            session_id=SessionId(_id(payload["sid"])),
            expires_at=expires_at,
            use=_use(payload["use"]),
        )

    def new_secret(self) -> str:
        """Return 256 random bits in 43 URL-safe characters."""
        return secrets.token_urlsafe(SECRET_BYTES)

    def digest(self, secret: str) -> str:
        """Return the SHA-256 in hexadecimal. A fast hash is enough, because 256 random bits cannot be guessed."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

    def pseudonym(self, name: str) -> str:
        """Return 64 bits of an HMAC-SHA256 in hexadecimal."""
        text = b"pseudonym:" + name.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:PSEUDONYM_CHARS]

    def _verify(self, token: str) -> Mapping[str, Any]:
        """Return the payload after a check of signature, type, issuer and audience; the caller checks the times."""
        if len(token) > MAX_TOKEN_CHARS or not SHAPE.fullmatch(token):
            raise Unauthenticated
        try:
            decoded = self._decoded(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated from error
        if decoded["header"].get("typ") != TYPE:
            raise Unauthenticated
        payload: Mapping[str, Any] = decoded["payload"]
        return payload

    def _decoded(self, token: str) -> Mapping[str, Any]:
        name = jwt.get_unverified_header(token).get("kid")
        failure: jwt.PyJWTError = jwt.InvalidSignatureError("it names a key that is not known")
        # A token of an earlier version names no key.
        keys: Iterable[bytes] = self._keys.values() if name is None else filter(None, [self._keys.get(name)])
        for key in keys:
            try:
                return jwt.decode_complete(
                    token,
                    key,
                    algorithms=[ALGORITHM],
                    issuer=self._issuer,
                    audience=self._audience,
                    # PyJWT reads the system's clock; here the time is an argument.
                    options={
                        "require": list(REQUIRED),
                        "strict_aud": True,
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                    },
                )
            except jwt.InvalidSignatureError as error:
                failure = error
        raise failure


def _name(key: bytes) -> str:
    """Return the name of a key, which says nothing of the key."""
    return hmac.new(key, b"name of the key", hashlib.sha256).hexdigest()[:PSEUDONYM_CHARS]


def _numeric_date(moment: datetime) -> float:
    """Return the seconds since 1970, with a fraction only where there is one (RFC 7519 section 2)."""
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _moment(value: object) -> datetime:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unauthenticated
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Unauthenticated from error


def _use(value: object) -> TokenUse:
    try:
        return TokenUse(str(value))
    except ValueError as error:
        raise Unauthenticated from error


def _id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARS:
        raise Unauthenticated
    return value
