"""Second factors: one-time codes of an app (TOTP, RFC 6238), and recovery codes for a person who has lost it."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chatbill.domain.billing.codes import typed_code
from chatbill.domain.shared.errors import Conflict, InvalidCredentials, Unauthenticated
from chatbill.domain.shared.ids import UserId

RECOVERY_CODES: Final = 10
CODE_DIGITS: Final = 6
MAX_TYPED_CHARS: Final = 64


class SecondFactorRequired(Unauthenticated):
    """The password is right, and a code is needed too."""

    code = "second_factor_required"


class WrongCode(InvalidCredentials):
    """The code is wrong, was used before, or is of another time."""

    def __init__(self) -> None:
        super().__init__("wrong_code")


@dataclass(slots=True, kw_only=True)
class SecondFactor:
    """The second factor of a user. It counts from `confirmed_at` on.

    `sealed_secret` can be opened with the key of the service alone. `last_step` is the newest step of time, of 30
    seconds each, whose code was used. `recovery_digests` are one-way digests of the recovery codes that are left.
    """

    user_id: UserId
    sealed_secret: str
    created_at: datetime
    confirmed_at: datetime | None = None
    last_step: int = 0
    recovery_digests: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Return True if sign-ins need a code."""
        return self.confirmed_at is not None

    def confirm(self, step: int, recovery_digests: tuple[str, ...], *, at: datetime) -> None:
        """Make sign-ins need a code from now on. Raises `Conflict` if they do already, and `WrongCode`."""
        require_inactive(self)
        self.use_step(step)
        self.confirmed_at, self.recovery_digests = at, recovery_digests

    def use_step(self, step: int) -> None:
        """Use the code of a step. Raises `WrongCode` for one that was used, and for those before it."""
        if step <= self.last_step:
            raise WrongCode
        self.last_step = step

    def use_recovery_code(self, digest: str) -> None:
        """Use a recovery code. Raises `WrongCode` for one that is not left. Every digest is compared in full."""
        matches = [hmac.compare_digest(each, digest) for each in self.recovery_digests]
        if not any(matches):
            raise WrongCode
        left = zip(self.recovery_digests, matches, strict=True)
        self.recovery_digests = tuple(each for each, is_match in left if not is_match)


def require_inactive(factor: SecondFactor | None) -> None:
    """Raise `Conflict` if sign-ins need a code already."""
    if factor is not None and factor.is_active:
        raise Conflict("second_factor_set")


def one_time_code(text: str) -> str | None:
    """Return the digits of a one-time code as a person typed it; None for text that is none."""
    digits = "".join(text.split()) if len(text) <= MAX_TYPED_CHARS else ""
    return digits if len(digits) == CODE_DIGITS and digits.isascii() and digits.isdigit() else None


def recovery_code(text: str) -> str | None:
    """Return the characters of a recovery code as a person typed it; None for text that is none."""
    return typed_code(text)
