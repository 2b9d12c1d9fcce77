"""Simple stand-ins for the other ports, shipped so that an embedding app and its tests need nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.application.ports.one_time_codes import SealBroken
from chatbill.application.ports.passwords import Verified
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.ports.tokens import Claims, TokenUse
from chatbill.domain.accounts.passwords import normalized_password, spellings
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, TokenExpired, Unauthenticated
from chatbill.domain.shared.ids import ModelId, SessionId, UserId


class PlainPasswords:
    """Passwords by a salted but fast hash: never for real people."""

    async def hash(self, password: str) -> str:
        """Return a salted SHA-256."""
        salt = secrets.token_hex(8)
        return f"plain${salt}${self._digest(salt, normalized_password(password))}"

    def is_common(self, password: str) -> bool:
        """Return True for the two most common passwords."""
        return password in {"password", "12345678"}

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Compare with a hash made here."""
        _, _, rest = (stored or "plain$$").partition("$")
        salt, _, digest = rest.partition("$")
        digests = [self._digest(salt, spelling) for spelling in spellings(password)]
        fits = [secrets.compare_digest(each, digest) for each in digests]
        return Verified(ok=any(fits), outdated=any(fits[1:]))

    @staticmethod
    def _digest(salt: str, password: str) -> str:
        return hashlib.sha256(f"{salt}{password}".encode("utf-8", "surrogatepass")).hexdigest()


class PlainTokens:
    """Access tokens that are signed with a key of this process; they die with it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def sign(self, claims: Claims, *, now: datetime) -> str:
        """Return the claims as JSON, with a keyed digest."""
        moments = claims.expires_at.isoformat(), now.isoformat()
        body = json.dumps([claims.user_id, claims.session_id, claims.use, *moments])
        encoded = body.encode().hex()
        return f"{encoded}.{self._mac(encoded)}"

    def read(self, token: str, *, now: datetime) -> Claims:
        """Check digest and time."""
        encoded, _, mac = token.partition(".")
        if not secrets.compare_digest(self._mac(encoded).encode(), mac.encode("utf-8", "surrogatepass")):
            raise Unauthenticated
        body = bytes.fromhex(encoded).decode()
        user_id, session_id, use, expires_at, _ = json.loads(body)
        claims = Claims(
            user_id=UserId(user_id),
            session_id=SessionId(session_id),
            expires_at=datetime.fromisoformat(expires_at),
            use=TokenUse(use),
        )
        if now >= claims.expires_at:
            raise TokenExpired
        return claims

    def new_secret(self) -> str:
        """Return 256 random bits."""
        return secrets.token_urlsafe(32)

    def digest(self, secret: str) -> str:
        """Return the SHA-256, in hex."""
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

    def pseudonym(self, name: str) -> str:
        """Return the first characters of a keyed digest."""
        return self._mac(f"pseudonym:{name}")[:16]

    def _mac(self, text: str) -> str:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).hexdigest()


class PlainSecrets:
    """Secrets that are only marked with their owner: never for real people."""

    def seal(self, secret: str, *, of: str) -> str:
        """Return owner and secret."""
        return f"{of}:{secret}"

    def open(self, sealed: str, *, of: str) -> str:
        """Return the secret of this owner."""
        owner, _, secret = sealed.rpartition(":")
        if owner != of:
            raise SealBroken(f"this is the secret of {owner}")
        return secret


class PlainOneTimeCodes:
    """Six digits for each half minute, which no app would show."""

    def new_secret(self) -> str:
        """Return random letters."""
        return secrets.token_hex(16)

    def address(self, secret: str, name: str) -> str:
        """Return an address with both."""
        return f"otpauth://totp/{name}?secret={secret}"

    def step(self, secret: str, code: str, *, now: datetime) -> int | None:
        """Compare with the code of this step, the one before and the one after."""
        present = int(now.timestamp()) // 30
        return next((step for step in (present + 1, present, present - 1) if self.code(secret, step) == code), None)

    def code(self, secret: str, step: int) -> str:
        """Return the code of a step."""
        return f"{int.from_bytes(hashlib.sha256(f'{secret}{step}'.encode()).digest()) % 10**6:06}"


class FreeRateLimits:
    """Allows every action."""

    async def hit(self, limit: Limit, key: str) -> None:
        """Do nothing: every action is allowed."""

    async def check(self, limit: Limit, key: str) -> None:
        """Do nothing: no limit is ever reached."""

    async def add(self, limit: Limit, key: str, times: int = 1) -> None:
        """Do nothing: no action is counted."""

    async def forget(self, limit: Limit, key: str) -> None:
        """Do nothing: no action is counted."""


class InstantEngine:
    """Answers at once with the words of the last message, one token a word."""

    name = "instant"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Report every model as ready."""
        return {model: ModelStatus(state=ModelState.READY) for model in self._catalogue}

    async def start(self) -> None:
        """Do nothing: no model is loaded."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return a place at once. Raises `ModelUnavailable` for a model that is not in the catalogue."""
        if request.model not in self._catalogue:
            raise ModelUnavailable(request.model, Description("model_unknown"))
        return _InstantGeneration(request)

    async def close(self) -> None:
        """Do nothing: no resource is held."""


class _InstantGeneration:
    completion_tokens: int | None = None
    cut_off: bool | None = None
    filtered = False
    dropped_turns = 0
    cached = False

    def __init__(self, request: GenerationRequest) -> None:
        self._words = request.turns[-1].text.split()[: request.max_tokens]
        self.prompt_tokens = sum(len(turn.text.split()) for turn in request.turns)

    async def stream(self) -> AsyncIterator[Chunk]:
        """Yield the words, one by one."""
        for number, word in enumerate(self._words):
            await asyncio.sleep(0)
            yield Chunk(word if number == 0 else f" {word}", 1)

    async def close(self) -> None:
        """Do nothing: no work runs."""
