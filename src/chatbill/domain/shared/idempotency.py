"""Idempotency keys: the same request twice has one effect and one answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from chatbill.domain.shared.errors import CapReached, IdempotencyMismatch, InsufficientCredits, InvalidRequest
from chatbill.domain.shared.ids import UserId

MAX_KEY_CHARS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that the wallet or the `cap` of an API key did not allow; all amounts in credits."""

    required: int
    available: int
    cap: int | None = None

    @classmethod
    def of(cls, error: InsufficientCredits) -> Refusal:
        """Return what is stored of this error."""
        cap = error.cap if isinstance(error, CapReached) else None
        return cls(required=error.required, available=error.available, cap=cap)

    def error(self) -> InsufficientCredits:
        """Return the error that was raised, to be raised again."""
        if self.cap is not None:
            return CapReached(required=self.required, available=self.available, cap=self.cap)
        return InsufficientCredits(required=self.required, available=self.available)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """The result of the first request with this key: the id of what was made (`subject_id`), or its refusal."""

    user_id: UserId
    key: str
    fingerprint: str
    created_at: datetime
    subject_id: str | None = None
    refusal: Refusal | None = None

    def check(self, fingerprint: str) -> None:
        """Raise `IdempotencyMismatch` unless this is the request that the key first came with."""
        if fingerprint != self.fingerprint:
            raise IdempotencyMismatch


def checked_key(key: str | None) -> str | None:
    """Return the key if it is 1 to 255 printable ASCII characters, else raise `InvalidRequest`; None stays None."""
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise InvalidRequest.of("Idempotency-Key", "not_printable_ascii", min=1, max=MAX_KEY_CHARS)
    return key


def fingerprint_of(operation: str, **fields: object) -> str:
    """Return a digest that is the same for the same operation with the same fields."""
    canonical = json.dumps([operation, fields], sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
