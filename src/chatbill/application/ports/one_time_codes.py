"""The ports of second factors: codes that an app shows, and secrets that the service alone can read."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.domain.shared.errors import ChatbillError, Forbidden


class SealBroken(ChatbillError):
    """A stored secret cannot be opened, because the service has another key than when it was sealed."""


class OneTimeCodes(Protocol):
    """One-time codes that follow from a secret and the time (TOTP, RFC 6238)."""

    def new_secret(self) -> str:
        """Return a new random secret, in the letters and digits that a person can type into an app."""
        ...

    def address(self, secret: str, name: str) -> str:
        """Return the `otpauth` address of the secret, which apps read as a QR code. `name` is that of the account."""
        ...

    def step(self, secret: str, code: str, *, now: datetime) -> int | None:
        """Return the step of time, counted from 1970, whose code this is; None if it is none of now.

        One step before and one after are of now too. Takes the same time for every code of six digits.
        """
        ...


class Secrets(Protocol):
    """Seals secrets with the key of the service, so that a copy of the database does not tell them."""

    def seal(self, secret: str, *, of: str) -> str:
        """Return the sealed secret, which can be opened with the same `of` alone, such as the id of its user."""
        ...

    def open(self, sealed: str, *, of: str) -> str:
        """Return the secret. Raises `SealBroken` if it was sealed with another key or for another one."""
        ...


class NoOneTimeCodes:
    """Refuses second factors, in a service that has none."""

    def new_secret(self) -> str:
        """Raise `Forbidden`."""
        raise Forbidden("no_second_factors")

    def address(self, secret: str, name: str) -> str:  # noqa: ARG002 - as the port has it
        """Raise `Forbidden`."""
        raise Forbidden("no_second_factors")

    def step(self, secret: str, code: str, *, now: datetime) -> int | None:  # noqa: ARG002 - as above
        """Return None: no code is right."""
        return None


class NoSecrets:
    """Keeps no secrets, in a service that has no second factors."""

    def seal(self, secret: str, *, of: str) -> str:  # noqa: ARG002 - as above
        """Raise `Forbidden`."""
        raise Forbidden("no_second_factors")

    def open(self, sealed: str, *, of: str) -> str:  # noqa: ARG002 - as above
        """Raise `SealBroken`."""
        raise SealBroken(f"this service cannot open the secret of {of}")
