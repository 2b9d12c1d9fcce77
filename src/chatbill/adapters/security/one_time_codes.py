"""One-time codes by pyotp: six digits for each 30 seconds, by HMAC-SHA1, which is what apps understand (RFC 6238)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pyotp
from pyotp.utils import strings_equal

STEP_S: Final = 30
DRIFT: Final = 1
"""Steps before and after the present one whose codes are accepted, because clocks differ (RFC 6238, section 5.2)."""


class TotpCodes:
    """Codes as apps make them. `issuer` is the name of the service in the app."""

    def __init__(self, *, issuer: str = "chatbill") -> None:
        self._issuer = issuer

    def new_secret(self) -> str:
        """Return 160 random bits in Base32."""
        return pyotp.random_base32()

    def address(self, secret: str, name: str) -> str:
        """Return the `otpauth` address with the name of the service and of the account."""
        return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=name, issuer_name=self._issuer)

    def step(self, secret: str, code: str, *, now: datetime) -> int | None:
        """Compare with the code of every step, each in constant time."""
        totp, present = pyotp.TOTP(secret, interval=STEP_S), int(now.timestamp()) // STEP_S
        steps = range(present - DRIFT, present + DRIFT + 1)
        matches = [step for step in steps if strings_equal(totp.generate_otp(step), code)]
        return max(matches, default=None)
