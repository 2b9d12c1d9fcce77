"""API keys: credentials for programs, with a monthly cap on the credits of their owner that they may spend."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from chatbill.domain.accounts.scopes import DEFAULT_SCOPES, Scope
from chatbill.domain.accounts.users import name_key
from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import CapReached, Conflict, FieldError, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId

PREFIX = "cb_"
"""The beginning of every key, by which people and scanners for leaked secrets recognize one."""
SECRET_CHARS = 43
MAX_SECRET_CHARS = 128
MAX_ID_CHARS = 64
MAX_NAME_CHARS = 100
MAX_KEYS = 20
"""The most keys that one account can have, without those that were revoked."""
USE_NOTED_EVERY = timedelta(minutes=1)
"""The precision of `last_used_at`: to note every use would cost a write for every request."""


class KeyNameTaken(Conflict):
    """The account has a key of this name that was not revoked."""

    def __init__(self) -> None:
        super().__init__("key_name_taken")


class TooManyKeys(Conflict):
    """The account has as many keys as are allowed."""

    def __init__(self) -> None:
        super().__init__("too_many_keys", max=MAX_KEYS)


class KeyParts(NamedTuple):
    """The two parts of a key: its id, by which it is found, and its secret, of which only a digest is stored."""

    id: ApiKeyId
    secret: str

    def text(self) -> str:
        """Return the key as programs send it."""
        return f"{PREFIX}{self.id}_{self.secret}"


def looks_like_key(credential: str) -> bool:
    """Return True where this is meant to be an API key, and not an access token."""
    return credential.startswith(PREFIX)


def key_parts(text: str) -> KeyParts | None:
    """Return the parts of a key, or None for text that is no key."""
    id_, _, secret = text.removeprefix(PREFIX).partition("_")
    shaped = looks_like_key(text) and text.isascii() and text.isprintable()
    if not shaped or not 0 < len(id_) <= MAX_ID_CHARS or not 0 < len(secret) <= MAX_SECRET_CHARS:
        return None
    return KeyParts(ApiKeyId(id_), secret)


@dataclass(slots=True, kw_only=True)
class ApiKey:
    """A credential for programs, which spend from the wallet of its owner.

    `digest` is a one-way digest of the secret. `scopes` are its rights, which never change. `monthly_cap` bounds the
    credits of a calendar month in UTC; None is no bound. `last_used_at` is exact to a minute. `revoked_by` is its
    owner, or an administrator, whose reason is `revoked_why`.
    """

    id: ApiKeyId
    user_id: UserId
    name: str
    digest: str
    created_at: datetime
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    monthly_cap: int | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_by: UserId | None = None
    revoked_why: str | None = None

    @property
    def name_key(self) -> str:
        """Return the form of the name that is unique among the keys of an account that were not revoked."""
        return name_key(self.name)

    def is_live(self, now: datetime) -> bool:
        """Return True while the key is accepted."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def opens_with(self, digest: str) -> bool:
        """Return True where this is the digest of the key's secret; takes the same time for every wrong one."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())

    def revoke(self, *, at: datetime, by: UserId, why: str | None = None) -> None:
        """Revoke the key for good; a second time changes nothing."""
        if self.revoked_at is None:
            self.revoked_at, self.revoked_by, self.revoked_why = at, by, why

    def is_use_worth_noting(self, now: datetime) -> bool:
        """Return True where the last use was noted a minute ago or earlier, or none was noted."""
        return self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY

    def note_use(self, *, at: datetime) -> None:
        """Record that the key was used."""
        self.last_used_at = at if self.last_used_at is None else max(at, self.last_used_at)

    def month_of(self, moment: datetime) -> KeyMonth:
        """Return the month that a request of this moment counts for, with nothing used in it yet."""
        starts_at = month_start(moment)
        ends_at = month_start(starts_at + timedelta(days=31))
        return KeyMonth(api_key_id=self.id, starts_at=starts_at, ends_at=ends_at, monthly_cap=self.monthly_cap)


@dataclass(slots=True, kw_only=True)
class KeyMonth:
    """The use of a key in one calendar month of UTC: `used` credits were charged or are held.

    A request counts for the month in which it was accepted, whenever it ends. Refunds do not lower `used`.
    """

    api_key_id: ApiKeyId
    starts_at: datetime
    ends_at: datetime
    monthly_cap: int | None = None
    used: int = 0

    def reserve(self, amount: int) -> None:
        """Add `amount` credits that are held for a request, or raise `CapReached`."""
        if amount < 0:
            raise InvariantViolation(f"API key {self.api_key_id} cannot use {amount}")
        if self.monthly_cap is not None and self.used + amount > self.monthly_cap:
            raise CapReached(required=amount, available=self.monthly_cap - self.used, cap=self.monthly_cap)
        self.used += amount


def month_start(moment: datetime) -> datetime:
    """Return the first moment of the calendar month in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def checked_terms(
    name: str, *, monthly_cap: int | None, expires_at: datetime | None, now: datetime
) -> tuple[str, datetime | None]:
    """Return the name without outer blanks and the end in UTC, or raise `InvalidRequest` with every invalid field."""
    name = " ".join(name.split())
    errors = []
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        errors.append(FieldError("name", Description.of("not_printable", min=1, max=MAX_NAME_CHARS)))
    if monthly_cap is not None and not 0 < monthly_cap <= MAX_CREDITS:
        errors.append(FieldError("monthly_cap", Description.of("credits_out_of_range", min=1, max=MAX_CREDITS)))
    if expires_at is not None and expires_at <= now:
        errors.append(FieldError("expires_at", Description.of("not_in_future")))
    if errors:
        raise InvalidRequest(*errors)
    return name, expires_at.astimezone(UTC) if expires_at else None
