"""Codes that redeem credits: each is shown once, and people enter it to get the credits that it is worth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from chatbill.domain.billing.ledger import MAX_CREDITS
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Conflict, FieldError, InvalidRequest
from chatbill.domain.shared.ids import CodeId, UserId

MAX_USES: Final = 10_000
"""The most people that one code is for. The redemptions of a code are counted at each of them."""
CODE_CHARS: Final = 25
"""With 5 bits each, 125 random bits."""
MAX_TYPED_CHARS: Final = 64
_GROUP: Final = 5
# Crockford's alphabet: no I, L, O and U, so that letters and digits are not mistaken for each other.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TYPED: Final = str.maketrans("OIL", "011", "- ")


@dataclass(slots=True, kw_only=True)
class RedeemCode:
    """A code for `credits` credits, which `uses` people can redeem, each once, before `expires_at` (None: no end).

    `digest` is a one-way digest of the code. The redemptions are the ledger entries with the code as their subject.
    """

    id: CodeId
    digest: str
    credits: int
    uses: int
    created_at: datetime
    created_by: UserId
    expires_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: UserId | None = None

    def withdraw(self, *, at: datetime, by: UserId) -> None:
        """Withdraw the code for good; a second time changes nothing."""
        if self.withdrawn_at is None:
            self.withdrawn_at, self.withdrawn_by = at, by

    def require_redeemable(self, *, used: int, now: datetime) -> None:
        """Raise `Conflict` for a code that has expired, was withdrawn, or was redeemed by all whom it was for."""
        if self.withdrawn_at is not None:
            raise Conflict("code_withdrawn")
        if self.expires_at is not None and now >= self.expires_at:
            raise Conflict("code_expired")
        if used >= self.uses:
            raise Conflict("code_used_up")


def code_text(secret: str) -> str:
    """Return a new code, made from a secret of at least 125 random bits, in groups of five characters."""
    number = int.from_bytes(hashlib.sha256(secret.encode()).digest())
    characters = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(CODE_CHARS))
    return "-".join(characters[start : start + _GROUP] for start in range(0, CODE_CHARS, _GROUP))


def typed_code(text: str) -> str | None:
    """Return the characters of a code as a person typed it; None for text that is no code."""
    if len(text) > MAX_TYPED_CHARS:
        return None
    characters = text.upper().translate(_TYPED).strip()
    return characters if len(characters) == CODE_CHARS and set(characters) <= set(_ALPHABET) else None


def checked_code_terms(
    *,
    credits: int,  # noqa: A002 - the name of the field
    uses: int,
    expires_at: datetime | None,
    now: datetime,
) -> datetime | None:
    """Return the end in UTC, or raise `InvalidRequest` with every invalid field."""
    errors = []
    if not 1 <= credits <= MAX_CREDITS:
        errors.append(FieldError("credits", Description.of("credits_out_of_range", min=1, max=MAX_CREDITS)))
    if not 1 <= uses <= MAX_USES:
        errors.append(FieldError("uses", Description.of("out_of_range", min=1, max=MAX_USES)))
    if expires_at is not None and expires_at <= now:
        errors.append(FieldError("expires_at", Description.of("not_in_future")))
    if errors:
        raise InvalidRequest(*errors)
    return expires_at.astimezone(UTC) if expires_at else None
